// What xgw refuses only where the kernel can do everything: a clear message, the right exit code, and nothing changed.
// What it refuses before it looks that far is tried on every kernel, in test/bpf and test/unit.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Namespace, type Output, tryRun } from "../../../vm/lab/netns.js";
import { snapshot } from "../../../vm/lab/snapshot.js";

const file = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const seed = readFileSync(file("examples/two-tenants.yaml"), "utf8");

let gateway: Namespace;
let folder: string;
let before: string;

function xgw(command: string, config: string): Promise<Output> {
  const path = join(folder, "xgw.yaml");
  writeFileSync(path, config);
  return gateway.tryRun(process.execPath, file("dist/xgw/lib/main.js"), command, "-c", path);
}

/** One line a fault, so that a wrong code shows the words that came with it. */
async function expectRefusal(output: Output, code: number, words: RegExp): Promise<void> {
  expect(`exit ${output.code}: ${output.stderr.trim()}`).toMatch(new RegExp(`^exit ${code}: `));
  expect(output.stderr).toMatch(words);
  expect(await stateOf(gateway), "the kernel was changed").toBe(before);
}

/** With whether the machine forwards: what an apply leaves on for good. */
const stateOf = async (gateway: Namespace): Promise<string> =>
  `${await snapshot(gateway)}${await gateway.run("sysctl", "net.ipv4.ip_forward")}`;

describe("apply refuses", () => {
  beforeAll(async () => {
    for (const name of ["vrf", "ip_gre", "nf_flow_table", "nf_conntrack"]) await tryRun("modprobe", ["-q", name]);
    folder = mkdtempSync(join(tmpdir(), "xgw-refusals-"));
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  beforeEach(async () => {
    gateway = await Namespace.create(`xgw${process.pid}-refusals`);
    await gateway.ip("link add eth0 type veth peer name wire", "addr add 172.168.0.1/24 dev eth0");
    await gateway.ip("link set eth0 up", "link set wire up", "link add unrelated type vrf table 77");
    await gateway.run("sysctl", "-qw", "net.ipv4.ip_forward=0"); // the kernel's default
  });

  afterEach(() => gateway.delete());

  const refusals: readonly {
    readonly what: string;
    readonly config?: (config: string) => string;
    readonly foreign?: () => Promise<unknown>;
    readonly code: number;
    readonly words: RegExp;
  }[] = [
    {
      what: "another instance's device of the same name",
      foreign: () => gateway.ip("link add xvrf1000 type vrf table 5", "link set xvrf1000 alias xgw/other/user1"),
      code: 5,
      words: /belongs to xgw instance other/,
    },
    {
      what: "a NIC that fails to take XDP when everything else is done, and goes back",
      foreign: () => gateway.ip("link set wire mtu 9000"),
      code: 3,
      words: /eth0 \(native\) does not take the XDP program/,
    },
  ];

  for (const { what, config, foreign, code, words } of refusals)
    it(`${what} (exit ${code})`, async () => {
      await foreign?.();
      before = await stateOf(gateway);
      await expectRefusal(await xgw("apply", config?.(seed) ?? seed), code, words);
    });
});
