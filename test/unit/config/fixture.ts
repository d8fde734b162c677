/** Config files on disk for a test, and what loading them says. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { type LoadedConfig, loadConfig } from "../../../src/config/load.js";
import { ConfigError, formatProblem } from "../../../src/errors.js";

/** The part of a config that no test here is about; 4 lines, so tenants begin at line 5. */
export const head = `apiVersion: xgw/v1
instance: test
underlay: { device: eth0, address: 172.168.0.1 }
tenants:
`;

/** A tenant that is right, as an item of a list; further lines go below it, each indented by four. */
export function tenant(name: string, key: number, ...lines: string[]): string {
  const own = [`- name: ${name}`, `  key: ${key}`, "  routes: [{ to: 10.0.0.0/24, via: 172.168.0.11 }]"];
  return `${[...own, ...lines.map((line) => `  ${line}`)].join("\n")}\n`;
}

/** A directory with these files; removed when the test is over. */
export function directoryOf(files: Readonly<Record<string, string | Uint8Array>>): string {
  const directory = mkdtempSync(join(tmpdir(), "xgw-config-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  return directory;
}

/** The error lines and warning lines of a config, with the test's directory cut off; the loaded config when it is right. */
export interface Outcome {
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
  readonly loaded: LoadedConfig | undefined;
}

export async function load(files: Readonly<Record<string, string | Uint8Array>>): Promise<Outcome> {
  return loadAt(directoryOf(files));
}

export async function loadAt(directory: string, name = "xgw.yaml"): Promise<Outcome> {
  const cut = (line: string) => line.replaceAll(`${directory}/`, "");
  try {
    const loaded = await loadConfig(join(directory, name));
    return { errors: [], warnings: loaded.warnings.map((warning) => cut(formatProblem(warning))), loaded };
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return {
      errors: thrown.problems.map((problem) => cut(formatProblem(problem))),
      warnings: thrown.warnings.map((problem) => cut(formatProblem(problem))),
      loaded: undefined,
    };
  }
}

/** Loads tenants below the usual head. */
export async function loadTenants(...tenants: string[]): Promise<Outcome> {
  return load({ "xgw.yaml": head + tenants.join("") });
}

/** The config of files that must be right. */
export async function configOf(files: Readonly<Record<string, string>>): Promise<LoadedConfig> {
  const { errors, loaded } = await load(files);
  if (!loaded) throw new Error(`the test's config is refused:\n${errors.join("\n")}`);
  return loaded;
}
