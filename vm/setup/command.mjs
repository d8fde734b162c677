import { spawn, spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { SetupError } from "./error.mjs";
import { root, stateDir } from "./paths.mjs";

/** The stdout of a short command; "" if it fails. */
export function output(command, args) {
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 64 << 20 });
  return status === 0 ? stdout : "";
}

/**
 * Runs a long command and shows that it lives: on a terminal one line with the time and what the command said last,
 * else a line now and then. All that it says goes to a log file, whose path and end are shown if the command fails.
 */
export async function runLogged(title, command, args, options = {}) {
  mkdirSync(stateDir, { recursive: true });
  const name = title.replaceAll(/[^a-z0-9]+/gi, "-");
  const log = join(stateDir, `${name}.log`);
  const status = await runInto(log, title, command, args, options.env);
  if (status === 0) return;
  const text = readFileSync(log, "utf8").trim();
  const remedy = options.remedy?.(text);
  throw new SetupError(
    `${title}: "${[command, ...args].join(" ")}" failed (${status}):\n${excerpt(text)}\n` +
      `  all of it: ${log}${remedy ? `\n  ${remedy}` : ""}`,
  );
}

/** The first lines of a log, where compilers say what is wrong, and the last, where most others do. */
function excerpt(text) {
  const [first, last] = [10, 20];
  const lines = text.split("\n").map((line) => `  | ${line}`);
  if (lines.length <= first + last) return lines.join("\n");
  return [...lines.slice(0, first), `  | … ${lines.length - first - last} lines more …`, ...lines.slice(-last)].join(
    "\n",
  );
}

async function runInto(log, title, command, args, env) {
  const file = openSync(log, "w");
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  const progress = startProgress(title, seconds);
  try {
    return await new Promise((resolve) => {
      const child = spawn(command, args, {
        cwd: root,
        env: { ...process.env, ...env },
        stdio: ["ignore", "pipe", "pipe"],
      });
      const onData = (data) => {
        writeSync(file, data);
        progress.said(data.toString());
      };
      child.stdout.on("data", onData);
      child.stderr.on("data", onData);
      child.on("error", (error) => {
        writeSync(file, `${error.message}\n`);
        resolve(error.message);
      });
      child.on("close", (code, signal) => resolve(code ?? signal));
    });
  } finally {
    closeSync(file);
    progress.end();
  }
}

function startProgress(title, seconds) {
  const out = process.stderr;
  let last = "";
  const onTerminal = () => {
    const line = `setup: ${title}, ${seconds()} s  ${last}`;
    out.write(`\r\x1b[K${line.slice(0, (out.columns ?? 80) - 1)}`);
  };
  const elsewhere = () => out.write(`setup: ${title}, ${seconds()} s  ${last.slice(0, 80)}\n`);
  if (!out.isTTY) out.write(`setup: ${title}\n`);
  const timer = out.isTTY ? setInterval(onTerminal, 200) : setInterval(elsewhere, 15_000);
  return {
    said(text) {
      const lines = text.split(/[\r\n]+/).filter((line) => line.trim() !== "");
      last = lines.at(-1)?.trim() ?? last;
    },
    end() {
      clearInterval(timer);
      if (out.isTTY) out.write(`\r\x1b[Ksetup: ${title}, ${seconds()} s\n`);
    },
  };
}
