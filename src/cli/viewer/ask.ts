/** The viewer's end: asks, prints what is answered. */

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { PermissionError, XgwError } from "../../errors.js";
import { namespaceInode } from "../../kernel/namespace.js";
import { checkCapabilities } from "../../kernel/preflight.js";
import { toLine, type ViewerAnswer, viewerGroup, viewerSocket } from "./protocol.js";

/**
 * Undefined where this process has the privileges to look by itself.
 *
 * @returns the exit code of the command, which has printed
 * @throws PermissionError when nobody lets it look; XgwError when the answer ends in its middle
 */
export async function askAsViewer(
  argv: readonly string[],
  path = process.env.XGW_VIEWER_SOCKET ?? viewerSocket,
): Promise<number | undefined> {
  const lacking = missing();
  if (!lacking) return undefined;
  const socket = connect(path);
  await once(socket, "connect").catch((cause) => {
    throw refusal(lacking, cause, path);
  });
  const stop = () => socket.destroy();
  process.stdout.on("error", stop);
  try {
    socket.write(toLine({ argv, namespace: namespaceInode(), columns: process.stdout.columns }));
    return await printAnswers(socket);
  } finally {
    process.stdout.off("error", stop);
    socket.destroy();
  }
}

async function printAnswers(socket: Socket): Promise<number> {
  let failure: Error | undefined;
  socket.on("error", (error) => {
    failure = error;
  });
  for await (const line of createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY })) {
    const answer = JSON.parse(line) as ViewerAnswer;
    if ("exit" in answer) return answer.exit;
    const [stream, text] = "out" in answer ? [process.stdout, answer.out] : [process.stderr, answer.err];
    if (!stream.write(text)) await Promise.race([once(stream, "drain"), once(socket, "close")]);
  }
  if (process.stdout.errored) return 0; // who read has gone
  throw new XgwError(`the answer ended in its middle${failure ? `: ${failure.message}` : ""}`, {
    remedy: "see why: journalctl -u 'xgw-viewer@*'",
  });
}

function missing(): PermissionError | undefined {
  try {
    checkCapabilities();
    return undefined;
  } catch (error) {
    if (error instanceof PermissionError) return error;
    throw error;
  }
}

function refusal({ message }: PermissionError, cause: NodeJS.ErrnoException, path: string): PermissionError {
  const remedies: Readonly<Record<string, string>> = {
    EACCES: `run it as root, or join the group ${viewerGroup} and log in again`,
    ENOENT: `run it as root; to let the group ${viewerGroup} look: systemctl enable --now xgw-viewer.socket`,
  };
  const remedy = remedies[cause.code ?? ""] ?? `run it as root; ${path} does not answer: ${cause.message}`;
  return new PermissionError(message, { cause, remedy });
}
