// Figures of the kernel's that the checks of health go by, as other tools tell them.
import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { readDroppingChains } from "../../src/kernel/base-chains.js";
import { readInterrupts, usedInterrupts } from "../../src/kernel/interrupts.js";
import { readNeighbourTable } from "../../src/kernel/neighbour-table.js";
import { netNamespace } from "../native/support/kernel.js";

it("the neighbour table's limit and entries are what ip says", () => {
  const told = execFileSync("ip", ["-s", "ntable", "show", "name", "arp_cache"], { encoding: "utf8" });
  const number = (name: string) => Number(new RegExp(`${name} (\\d+)`).exec(told)?.[1]);
  const table = readNeighbourTable();
  expect(table).toMatchObject({ max: number("thresh3"), overflows: 0 });
  expect(Math.abs((table?.entries ?? -100) - number("entries"))).toBeLessThan(10); // others come and go
});

it("entries are counted in another network namespace, too", () => {
  const { inside, name } = netNamespace();
  const before = inside(readNeighbourTable)?.entries ?? 0;
  for (let host = 1; host <= 20; host++)
    execFileSync("ip", ["-n", name, "neigh", "add", `10.9.9.${host}`, "lladdr", "02:00:00:00:00:09", "dev", "v0"]);
  expect(inside(readNeighbourTable)?.entries ?? 0).toBeGreaterThanOrEqual(before + 15);
});

it("of chains only base chains that drop are read, with their tables' rules", () => {
  const { inside, name } = netNamespace();
  const nft = (text: string) => void execFileSync("ip", ["netns", "exec", name, "nft", text]);
  nft("table ip a { chain plain { accept; }; chain open { type filter hook input priority 0; policy accept; }; }");
  nft(
    'table inet b { chain shut { type filter hook output priority 0; policy drop; }; chain by { oifname "xvrf*" accept; }; }',
  );
  nft("table ip6 c { chain other { type filter hook forward priority 0; policy drop; }; }");
  const chains = inside(readDroppingChains);
  expect(chains.map(({ rules, ...chain }) => ({ ...chain, hasRule: rules.includes("xvrf") }))).toEqual([
    { family: "inet", table: "b", chain: "shut", hook: "output", hasRule: true },
  ]);
});

it("interrupts are those that have come, whatever CPU took them", () => {
  const text = [
    "           CPU0       CPU1       ",
    " 30:          0          7  PCI-MSI 1-edge  eth0-0",
    " 31:          0          0  PCI-MSI 2-edge  eth0-1",
    "NMI:          5          5  Non-maskable interrupts",
  ].join("\n");
  expect([...usedInterrupts(text)]).toEqual([30]);
});

it("a device of software has no interrupts, nor has one that /sys knows from another network namespace", () => {
  expect(readInterrupts({ name: "lo", ifindex: 1, mac: "00:00:00:00:00:00" })).toEqual([]);
  expect(readInterrupts({ name: "lo", ifindex: 77 })).toEqual([]);
});
