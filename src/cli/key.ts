/** A key of a terminal, without the line's end. */

import { emitKeypressEvents } from "node:readline";
import type { ReadStream } from "node:tty";
import type { ReadKey } from "./command.js";

export const readKeyOf =
  (terminal: ReadStream): ReadKey =>
  (keys, signal) =>
    new Promise((resolve) => {
      const end = (key: string | undefined) => {
        signal.removeEventListener("abort", onAbort);
        terminal.off("keypress", onKey).off("end", onAbort).setRawMode(false).pause();
        resolve(key);
      };
      const onAbort = () => end(undefined);
      const onKey = (text: string | undefined, { ctrl, name }: { readonly ctrl?: boolean; readonly name?: string }) => {
        if (ctrl && name === "c") {
          end(undefined);
          process.kill(process.pid, "SIGINT"); // in raw mode the terminal does not
        } else if (text !== undefined && keys.includes(text)) end(text);
      };
      emitKeypressEvents(terminal);
      signal.addEventListener("abort", onAbort);
      terminal.setRawMode(true).on("keypress", onKey).on("end", onAbort).resume();
    });
