/** The daemon that has the instance, and what the config at hand has otherwise than the one that it follows. */

import { realpathSync } from "node:fs";
import type { PlacedConfig } from "../config/load.js";
import { loadConfig } from "../config/load.js";
import { type DaemonReport, findDaemon } from "../daemon-socket.js";
import { ConfigError } from "../errors.js";
import { type Edit, editsBetween } from "../plan/edits.js";

export interface Followed {
  readonly pid: number;
  /** What the daemon follows. A daemon of an older version does not say. */
  readonly file?: string;
  /** Whether that is the config at hand. */
  readonly isFollowed: boolean;
  /** Where it is another, and right. */
  readonly edits?: readonly Edit[];
}

/** Undefined where no daemon answers. */
export async function followedBy(
  loaded: PlacedConfig,
  file: string,
  directory?: string,
): Promise<Followed | undefined> {
  const daemon = await findDaemon(file, loaded.config.instance, directory);
  if (daemon.state !== "answers") return undefined;
  const { pid, config }: DaemonReport = daemon.report;
  const other = config.file;
  if (other === undefined) return { pid, isFollowed: false };
  if (isSameFile(other, file)) return { pid, file: other, isFollowed: true };
  const was = await tryConfig(other);
  const edits = was && { edits: editsBetween(was, loaded.config) };
  return { pid, file: other, isFollowed: false, ...edits };
}

function isSameFile(a: string, b: string): boolean {
  try {
    return realpathSync(a) === realpathSync(b);
  } catch {
    return false;
  }
}

async function tryConfig(file: string) {
  try {
    return (await loadConfig(file)).config;
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return undefined;
  }
}
