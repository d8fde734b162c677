/** A lab that is left standing: traffic that does not end, and a shell, or one command, in its gateway. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { quote } from "../job.js";
import { built } from "../root.js";
import type { Lab } from "./check.js";

/** What the hosts do for ever: connections that XDP carries, and attempts that the policy denies. */
export async function startTraffic({ client, user1, user2 }: Lab): Promise<() => Promise<void>> {
  await user1.serveFlow(22);
  await client.startFlow({ host: "2.2.2.11", port: 22, localPort: 40_022 });
  await user2.serveUdp(5000);
  const stream = { host: "2.2.2.12", port: 5000, localPort: 40_050, bytes: 200 };
  const streaming = client.streamUdp({ ...stream, count: 1e9, intervalMs: 20 });
  const attempt = { seed: 1, bytes: 1, timeoutMs: 1000 };
  const knock = () => {
    client.connectTcp({ host: "2.2.2.11", port: 23, ...attempt }).catch(() => {}); // no rule
    user1.connectTcp({ host: "1.1.1.7", port: 22, ...attempt }).catch(() => {}); // outbound rule 0
  };
  knock();
  const knocking = setInterval(knock, 3000);
  return async () => {
    clearInterval(knocking);
    client.stopStream();
    await streaming;
    await client.endFlow(40_022);
    await user1.close(22);
    await user2.close(5000);
  };
}

/** Runs the command in the gateway's namespace, with this terminal, and `xgw` on its path; gives its exit code. */
export async function runInGateway({ xgw }: Lab, command: readonly string[]): Promise<number> {
  const bin = join(dirname(xgw.configFile), "bin");
  await mkdir(bin);
  const program = join(bin, "xgw");
  const main = [process.execPath, built("xgw/lib/main.js")].map(quote).join(" ");
  const lines = [
    "#!/bin/sh",
    // The lab's config, unless another is named.
    `for word; do case $word in -c | -c?* | --config | --config=*) exec ${main} "$@" ;; esac; done`,
    `exec ${main} -c ${quote(xgw.configFile)} "$@"`,
  ];
  await writeFile(program, `${lines.join("\n")}\n`);
  await chmod(program, 0o755);
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, PS1: "gateway# " };
  const child = spawn("nsenter", [`--net=${xgw.namespace.path}`, "--", ...command], { stdio: "inherit", env });
  // Ctrl-C is the shell's.
  const ignore = () => {};
  process.on("SIGINT", ignore);
  const [code] = (await once(child, "close")) as [number | null];
  process.off("SIGINT", ignore);
  return code ?? 1;
}

export const welcome = [
  "",
  "The lab stands. This shell is in the gateway; traffic goes on: client to user1 by TCP and to user2 by UDP,",
  "and every 3 s two attempts that the policy denies. Try:",
  "",
  "  xgw status            what there is, in step or not",
  "  xgw flow list         who speaks with whom, and what carries it",
  "  xgw doctor            is anything wrong?",
  "",
  "docs/operate.md has more. `exit` takes everything down.",
  "",
];
