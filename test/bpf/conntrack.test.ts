// Connections as the kernel has them: read, and deleted by name.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { attribute, inNetNamespace } from "libbpf-ts";
import { beforeEach, describe, expect, it } from "vitest";
import { deleteConnections, readConnections, type TrackedConnection } from "../../src/kernel/conntrack.js";
import { makeNamespace, untrack } from "./support/kernel.js";

const namespace = makeNamespace();
const inside = <T>(work: () => T): T => inNetNamespace(namespace.path, work as () => never);
const read = (zones?: readonly number[]): TrackedConnection[] =>
  inside(() => [...readConnections(zones && new Set(zones))]);
const remove = (connections: Iterable<TrackedConnection>) => inside(() => deleteConnections(connections));

/** Makes entries, one for each line of options, in one process. */
function make(lines: readonly string[]): void {
  const folder = mkdtempSync(join(tmpdir(), "xgw-conntrack-"));
  try {
    const file = join(folder, "entries");
    writeFileSync(file, lines.map((line) => `-I -t 600 -u SEEN_REPLY ${line}\n`).join(""));
    execFileSync("ip", ["netns", "exec", namespace.name, "conntrack", "-R", file], { stdio: "ignore" });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const udp = (zone: number, port: number, more = "") =>
  `-w ${zone} -p udp -s 1.1.1.7 -d 2.2.2.11 --sport ${port} --dport 53 ${more}`;
const show = ({ zone, original }: TrackedConnection) => `${zone}: ${original.sourcePort}`;
const shown = (connections: Iterable<TrackedConnection>) => [...connections].map(show).sort();

beforeEach(() => untrack(namespace));

describe("a connection", () => {
  it("has both its tuples, the zone and the mark", () => {
    make([
      "-w 7 -m 5 -p tcp --state ESTABLISHED -s 1.1.1.7 -d 2.2.2.11 --sport 40000 --dport 22 --dst-nat 10.0.0.7:2222",
    ]);
    const { name, ...connection } = read()[0] as TrackedConnection;
    expect(connection).toEqual({
      zone: 7,
      mark: 5,
      protocol: 6,
      original: { source: "1.1.1.7", destination: "2.2.2.11", sourcePort: 40000, destinationPort: 22 },
      reply: { source: "10.0.0.7", destination: "1.1.1.7", sourcePort: 2222, destinationPort: 40000 },
    });
  });

  it("outside all zones and without a mark has zeros", () => {
    make([udp(0, 1)]);
    expect(read()[0]).toMatchObject({ zone: 0, mark: 0 });
  });

  it("without ports has zeros", () => {
    make(["-p icmp -s 1.1.1.7 -d 2.2.2.11 --icmp-type 8 --icmp-code 0 --icmp-id 9"]);
    expect(read()[0]?.original).toEqual({
      source: "1.1.1.7",
      destination: "2.2.2.11",
      sourcePort: 0,
      destinationPort: 0,
    });
  });
});

describe("those of some zones", () => {
  const zones = Array.from({ length: 9 }, (_, at) => at + 1);
  beforeEach(() => make(zones.map((zone) => udp(zone, 100 + zone))));

  it("are all when none are named", () => expect(read()).toHaveLength(9));
  it("are theirs, of few", () => expect(shown(read([3, 8]))).toEqual(["3: 103", "8: 108"]));
  it("are theirs, of many", () => {
    expect(shown(read([2, 3, 4, 5, 6, 7]))).toEqual(["2: 102", "3: 103", "4: 104", "5: 105", "6: 106", "7: 107"]);
  });
  it("are none of a zone that has none", () => expect(read([12])).toEqual([]));
});

describe("deleting", () => {
  it("ends what is named, and not the same addresses in another zone", () => {
    make([udp(1, 5), udp(2, 5), udp(1, 6)]);
    remove(read([1]).filter(({ original }) => original.sourcePort === 5));
    expect(shown(read())).toEqual(["1: 6", "2: 5"]);
  });

  it("ends one without ports", () => {
    make(["-p icmp -s 1.1.1.7 -d 2.2.2.11 --icmp-type 8 --icmp-code 0 --icmp-id 9"]);
    remove(read());
    expect(read()).toEqual([]);
  });

  it("takes what has gone by itself for done, and goes on", () => {
    make([udp(1, 5), udp(1, 6)]);
    const [first, second] = read() as [TrackedConnection, TrackedConnection];
    remove([first]);
    remove([first, second]);
    expect(read()).toEqual([]);
  });

  it("says when the kernel does not", () => {
    make([udp(1, 5)]);
    const [connection] = read() as [TrackedConnection];
    const unknown = { ...connection, name: attribute(1, Buffer.alloc(0)) };
    expect(() => remove([unknown])).toThrow("the kernel did not delete 1 connections: EINVAL");
  });

  it("ends 20,000 connections of 4,000 zones while they are read, and nothing else", () => {
    const lines = Array.from({ length: 20_000 }, (_, at) => udp(1 + (at % 4000), 1 + Math.floor(at / 4000)));
    make([...lines, udp(5000, 1)]);
    inside(() => deleteConnections(readConnections(new Set(Array.from({ length: 4000 }, (_, at) => at + 1)))));
    expect(shown(read())).toEqual(["5000: 1"]);
  });
});
