/** Writes what is longer than the memory should hold: a piece is made when the one before has been taken. */

import { setImmediate } from "node:timers/promises";
import type { LogTarget } from "../log.js";

export interface StreamTarget extends LogTarget {
  /** `true`: more can be written when "drain" is told. */
  readonly writableNeedDrain?: boolean | undefined;
  once?(event: "drain", listener: () => void): unknown;
}

/** Bytes, some, that are written at once. */
const pieceSize = 65_536;

export async function streamTo(target: StreamTarget, pieces: Iterable<string>, closed: AbortSignal): Promise<void> {
  let gathered = "";
  for (const piece of pieces) {
    gathered += piece;
    if (gathered.length < pieceSize) continue;
    await write(target, gathered, closed);
    if (closed.aborted) return;
    gathered = "";
  }
  if (gathered !== "") await write(target, gathered, closed);
}

async function write(target: StreamTarget, text: string, closed: AbortSignal): Promise<void> {
  target.write(text);
  if (target.writableNeedDrain === true) await drained(target, closed);
  else await setImmediate(); // a pipe that was closed is told of in the next round
}

function drained(target: StreamTarget, closed: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      closed.removeEventListener("abort", done);
      resolve();
    };
    closed.addEventListener("abort", done);
    target.once?.("drain", done);
    if (closed.aborted) done();
  });
}
