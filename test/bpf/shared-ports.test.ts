// Which ports the kernel gives to hosts that share a public address, by the rules of a share (src/plan/shares.ts).
import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { rulesScript } from "../../src/plan/rules.js";
import { shareScript } from "../../src/plan/shares.js";
import { Namespace } from "../../vm/lab/netns.js";
import { cable, Wire } from "../../vm/lab/wire.js";
import { ethernet, icmp, ipv4, type Transport, udp } from "./support/packet.js";

const shared = "192.0.2.1";
const server = "192.0.2.9";
const macs = { inside: "02:00:00:00:00:01", host: "02:00:00:00:00:07", server: "02:00:00:00:00:09" };
const table = "ip xgw_gw1";

let gateway: Namespace;
let far: Namespace;
let inside: Wire;
let outside: Wire;

beforeAll(async () => {
  gateway = await Namespace.create(`xgw${process.pid}-ports`);
  far = await Namespace.create(`xgw${process.pid}-ports-far`);
  for (const side of ["inside", "outside"]) await cable(gateway, side, far, `far-${side}`);
  await gateway.ip(
    `link set inside address ${macs.inside}`,
    "addr add 10.0.255.254/16 dev inside",
    "addr add 192.0.2.254/24 dev outside",
    `neigh replace ${server} lladdr ${macs.server} dev outside nud permanent`,
  );
  await gateway.run("sysctl", "-qw", "net.ipv4.ip_forward=1");
  const rules = `${rulesScript("gw1", ["ipv4"])}${shareScript(table, 0, ["lo"])}
add element ${table} zones { "inside" : 1 }
add element ${table} shared_to0 { 1 . 10.0.0.0-10.0.255.255 : ${shared} }
`;
  // Where the kernel has no flowtables, the rest of the rules is the same.
  const input = rules.replace(/^.*(flowtable|flow add|fastpath0).*\n/gm, "");
  execFileSync("nsenter", [`--net=${gateway.path}`, "nft", "-f", "-"], { input });
  inside = Wire.open({ netns: far.path, device: "far-inside" });
  outside = Wire.open({ netns: far.path, device: "far-outside" });
});
afterAll(async () => {
  inside[Symbol.dispose]();
  outside[Symbol.dispose]();
  await gateway.delete();
  await far.delete();
});
beforeEach(() => gateway.run("conntrack", "-F"));

/** Hosts that send a packet each to the server: what leaves, by the number in the place of the source port. */
async function ask(hosts: number, transport: Transport, at = 0, first = 1): Promise<number[]> {
  const left: Buffer[] = [];
  for (let host = first; host < first + hosts; host++) {
    const src = `10.0.${host >> 8}.${host & 255}`;
    inside.send(ethernet({ src: macs.host, dst: macs.inside }, ipv4({ src, dst: server }, transport)));
    left.push(...outside.take());
  }
  left.push(...(await outside.settled()));
  const packets = left.filter((frame) => frame.readUInt16BE(12) === 0x0800).map((frame) => frame.subarray(14));
  expect(packets.filter((packet) => packet.subarray(12, 16).join(".") !== shared)).toEqual([]);
  return packets.map((packet) => packet.readUInt16BE(20 + at));
}
const from = (sport: number) => udp({ sport, dport: 123, payload: "?" });

it("600 hosts that all send from port 123 to one server get a port each, and the first one keeps its own", async () => {
  const ports = await ask(600, from(123));
  expect([ports.length, new Set(ports).size, ports[0]]).toEqual([600, 600, 123]);
});

it("so do 600 hosts that send from port 1000", async () => {
  const ports = await ask(600, from(1000));
  expect([ports.length, new Set(ports).size, ports[0]]).toEqual([600, 600, 1000]);
});

it("hosts that send from a high port get no port of the machine's services", async () => {
  const ports = await ask(600, from(20_000));
  expect([ports.length, new Set(ports).size, ports[0]]).toEqual([600, 600, 20_000]);
  expect(ports.filter((port) => port < 1024)).toEqual([]);
});

it("hosts whose pings have the same number get a number each", async () => {
  const ids = await ask(600, icmp(), 4);
  expect([ids.length, new Set(ids).size, ids[0]]).toEqual([600, 600, 1]);
});
