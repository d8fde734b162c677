/**
 * The end that has the privileges: runs one command for a viewer, of those that change nothing whatever their options say, on the
 * config that it was started with. Nothing else of what is asked is believed.
 */

import type { Socket } from "node:net";
import { PermissionError, UsageError } from "../../errors.js";
import { namespaceInode } from "../../kernel/namespace.js";
import { runCli } from "../cli.js";
import type { Command } from "../command.js";
import { defaultConfigFile, type Parsed } from "../parse.js";
import type { StreamTarget } from "../stream.js";
import { toLine, type ViewerRequest } from "./protocol.js";

/** Of a request. */
const bounds = { bytes: 65_536, ms: 5000, words: 256 } as const;

/** @throws UsageError when it is no request */
export async function answerViewer(socket: Socket, configFile: string, commands: readonly Command[]): Promise<void> {
  const closed = new AbortController();
  socket.on("error", () => {}); // it closes, too
  socket.on("close", () => closed.abort());
  const request = parseRequest(await firstLine(socket));
  socket.resume(); // who has gone is noticed so
  const exit = await runCli(request.argv, commands, {
    stdout: { ...speaker(socket, "out"), columns: request.columns },
    stderr: speaker(socket, "err"),
    env: {},
    outputClosed: closed.signal,
    admit: (parsed) => admit(parsed, request, configFile),
  });
  await new Promise<void>((done) => socket.end(toLine({ exit }), done));
}

function admit(
  { command, globals }: Parsed & { readonly kind: "run" },
  { namespace }: ViewerRequest,
  configFile: string,
): string {
  if (command.isForViewers !== true)
    throw new PermissionError(`viewers may not have ${command.name} run`, { remedy: "run it as root" });
  if (globals.config !== defaultConfigFile && globals.config !== configFile)
    throw new PermissionError(`viewers see the gateway of ${configFile}, and no other`, { remedy: "leave out -c" });
  if (namespace !== namespaceInode())
    throw new PermissionError("viewers see the gateway of the machine's own network namespace, and this is another", {
      remedy: "leave it, or run xgw in it as root",
    });
  return configFile;
}

function speaker(socket: Socket, channel: "out" | "err") {
  const target: StreamTarget = {
    write: (text: string) => socket.write(toLine(channel === "out" ? { out: text } : { err: text })),
    once: (event, listener) => socket.once(event, listener),
  };
  return Object.defineProperty(target, "writableNeedDrain", { enumerable: true, get: () => socket.writableNeedDrain });
}

function parseRequest(line: string): ViewerRequest {
  try {
    const { argv, namespace, columns } = JSON.parse(line);
    const areWords =
      Array.isArray(argv) && argv.length <= bounds.words && argv.every((word) => typeof word === "string");
    if (areWords && typeof namespace === "number")
      return { argv, namespace, columns: Number.isInteger(columns) && columns > 0 ? columns : undefined };
  } catch {
    // told below
  }
  throw new UsageError("this is no request of a viewer's", { remedy: "let xgw ask: run xgw status, say, as a viewer" });
}

function firstLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const stop = (why: string) => reject(new UsageError(`a viewer's request ${why}`));
    const timer = setTimeout(() => stop("did not come"), bounds.ms);
    const onData = (chunk: string) => {
      text += chunk;
      const end = text.indexOf("\n");
      if (end < 0 && text.length <= bounds.bytes) return;
      clearTimeout(timer);
      socket.off("data", onData);
      if (end < 0) stop("is too long");
      else resolve(text.slice(0, end));
    };
    socket.setEncoding("utf8").on("data", onData);
    socket.on("close", () => {
      clearTimeout(timer);
      stop("broke off");
    });
  });
}
