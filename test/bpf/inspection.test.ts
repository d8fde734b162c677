// xgw prog, map, link and net beside the real bpftool, over a data path that is loaded and attached.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { BpfLink, BpfMap, BpfObject, inNetNamespace, possibleCpus, TypedMap } from "libbpf-ts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { type OutputName, schemaFile } from "../../src/cli/output/schemas.js";
import { u32 } from "../../src/datapath/layout.js";
import type { Attachment, Entry } from "../../src/plan/state.js";
import { datapathModules } from "./support/built.js";
import { objectFile } from "./support/datapath.js";
import { makeNamespace } from "./support/kernel.js";

const { objects, load, entries, attachments } = datapathModules;
const instance = `show${process.pid}`;
const pins = new datapathModules.pins.Pins(instance);
const constants = { underlayAddress: "172.168.0.1", netnsInode: 1, countsSessions: false, flows: 4096 };
const fingerprint = objects.fingerprintOf(constants);
const namespace = makeNamespace();
const [nic, other] = namespace.veth;
const names = {
  indexOf: (name: string) => ({ v0: nic, v1: other })[name] ?? 0,
  nameOf: (ifindex: number) => ({ [nic]: "v0", [other]: "v1" })[ifindex] ?? `#${ifindex}`,
};
const inside = <T>(work: () => T): T => inNetNamespace(namespace.path, work as () => never);

type Json = Readonly<Record<string, unknown>>;

const attached: Readonly<Record<string, Attachment>> = {
  xdp_v0: { device: "v0", hook: "xdp", program: "xgw_xdp", mode: "native", fingerprint },
  learn_v0: { device: "v0", hook: "tcx-egress", program: "xgw_learn", fingerprint },
  nic_arp_v0: { device: "v0", hook: "tcx-ingress", program: "xgw_nic_arp", fingerprint },
  quota_forward: { device: "forward", hook: "netfilter", program: "xgw_quota", fingerprint },
  neighbour_made: { device: "neighbours", hook: "tracepoint", program: "xgw_neighbour_made", fingerprint },
};

const written: readonly Entry[] = [
  { map: "peers", tenant: 1, address: "172.168.0.7" },
  { map: "endpoints", tenant: 1, prefix: "10.0.0.0/24", via: "172.168.0.11" },
  { map: "tunnels", device: "v1", tenant: 1 },
  { map: "tunnels", device: "v0", tenant: 1, isVrf: true },
  { map: "public_ips", address: "2.2.2.11", tenant: 1, device: "v1", key: 1000, mtu: 1500 },
  { map: "nics", device: "v0" },
  {
    map: "destinations",
    tenant: 1,
    address: "2.2.2.13",
    protocol: 6,
    port: 80,
    bits: 24,
    to: "10.0.0.7",
    toPort: 8080,
  },
  { map: "policy_networks", tenant: 1, direction: "outbound", prefix: "0.0.0.0/0", page: "0123456789abcdef" },
  { map: "policy_services", page: "0123456789abcdef", protocol: 6, port: 1024, bits: 14, mark: 0x8001_0003 },
];

const address = (text: string) => Buffer.from(text.split(".").map(Number)).readUInt32BE(0);

/** Two flows in bucket 3. */
const flow = {
  key: { saddr: address("1.1.1.7"), daddr: address("2.2.2.11"), sport: 4444, dport: 22, realm: 2000, protocol: 6 },
  tenant: 1,
  peer: address("172.168.0.7"),
  saddr: address("1.1.1.7"),
  daddr: address("10.0.0.7"),
  sport: 4444,
  dport: 2222,
  packets: 7,
};

function fill(): void {
  inside(() => entries.setEntries(pins, written, names));
  using denials = BpfMap.openPinned(pins.map("denials"));
  const counted = Buffer.from(new BigUint64Array([5n, 0xffff_ffff_ffff_fff0n]).buffer);
  denials.setPerCpu(u32(1, 2), new Array(possibleCpus()).fill(counted));
  using flows = TypedMap.openPinned<number, { ways: unknown[] }>(pins.map("flows"));
  const bucket = flows.get(3) as { ways: unknown[] };
  flows.set(3, { ways: bucket.ways.map((way, n) => ([4, 31].includes(n) ? { ...flow, packets: n } : way)) });
}

const foreign = BpfObject.open(objectFile("test-pass.bpf.o")).load();

beforeAll(() => {
  load.loadDatapath(pins, fingerprint, constants);
  inside(() => {
    for (const [name, attachment] of Object.entries(attached))
      attachments.attach(pins, name, attachment, undefined, names);
  });
  fill();
});
afterAll(() => {
  foreign.close();
  inside(() => {
    for (const name of pins.links()) attachments.detach(pins, name);
  });
  pins.removeAll();
});

const main = fileURLToPath(new URL("../../dist/xgw/lib/main.js", import.meta.url));
const inNamespace = (...command: string[]) => [`--net=${namespace.path}`, ...command];
const room = 512 * 1024 * 1024;

/** Without a config, as where the gateway was made by another file. */
function xgw(...words: string[]) {
  const command = inNamespace(process.execPath, main, "-c", "/nonexistent.yaml", ...words);
  const { status, stdout, stderr } = spawnSync("nsenter", command, { encoding: "utf8", maxBuffer: room });
  return { code: status, stdout, stderr };
}

function xgwText(...words: string[]): string {
  const { code, stdout, stderr } = xgw(...words, "--instance", instance);
  expect({ words, code, stderr: code === 0 ? "" : stderr }).toEqual({ words, code: 0, stderr: "" });
  return stdout;
}

const xgwJson = (...words: string[]) => JSON.parse(xgwText(...words, "-j"));

function bpftoolText(...words: string[]): string {
  // 7.5 ends with 255 after all that it had to say of a link.
  return spawnSync("nsenter", inNamespace("bpftool", ...words), { encoding: "utf8", maxBuffer: room }).stdout;
}

const bpftool = (...words: string[]) => JSON.parse(bpftoolText("-j", ...words));

const byId = (all: readonly Json[]) => new Map(all.map((one) => [one.id, one]));

const linkIds = () =>
  pins.links().map((name) => {
    using link = BpfLink.openPinned(pins.link(name));
    return link.id;
  });

describe("beside bpftool, for everything that is loaded and attached", () => {
  it.each(["prog", "map"])("xgw %s show has all its keys with its values", (kind) => {
    const ours = xgwJson(kind, "show", "-f") as Json[];
    expect(ours.length).toBeGreaterThan(15);
    // One by one: in bpftool's list an id of BTF may be that of the object before.
    for (const one of ours) expect(one).toMatchObject(nameable(bpftool(kind, "show", "-f", "id", String(one.id))));
  });

  /** An old bpftool has the number of a type that it does not know. */
  const nameable = ({ type, ...rest }: Json) => (typeof type === "number" ? rest : { type, ...rest });

  it("xgw link show has all its keys with its values", () => {
    const theirs = byId(bpftool("link", "show"));
    const ours = xgwJson("link", "show") as Json[];
    expect(new Set(ours.map(({ id }) => id))).toEqual(new Set(linkIds()));
    for (const one of ours) expect(one).toMatchObject(nameable(theirs.get(one.id) ?? { missing: one.id }));
  });

  it("xgw net show --all has all of the namespace", () => {
    const [theirs] = bpftool("net", "show");
    const [ours] = xgwJson("net", "show", "--all");
    for (const [hook, list] of Object.entries(theirs as Record<string, Json[]>))
      for (const one of list) expect(ours[hook], hook).toContainEqual(expect.objectContaining(one));
    // Old ones do not know of tcx and netfilter.
    const kinds = [...ours.xdp, ...ours.tc].map(({ kind, mode }) => kind ?? mode);
    expect(kinds).toEqual(["driver", "tcx/ingress", "tcx/egress"]);
  });

  it("each of them is found by its id, and is one object", () => {
    const one = xgwJson("prog", "show", "xgw_xdp");
    expect(xgwJson("prog", "show", "id", String(one.id))).toMatchObject(bpftool("prog", "show", "id", String(one.id)));
  });

  it.each(["prog", "map"])("xgw %s show as text is bpftool's, letter by letter, with lines of xgw's own", (kind) => {
    const ids = (xgwJson(kind, "show") as Json[]).map(({ id }) => String(id));
    const theirs = ids.map((id) => bpftoolText(kind, "show", "id", id)).join("");
    const ours = withoutOwn(xgwText(kind, "show"));
    expect(withoutTypes(ours)).toBe(withoutTypes(theirs));
  });

  it("xgw link show as text has bpftool's lines in their order", () => {
    for (const { id } of xgwJson("link", "show") as Json[]) {
      const theirs = linesOf(bpftoolText("link", "show", "id", String(id)));
      const ours = linesOf(withoutOwn(xgwText("link", "show", "id", String(id))));
      expect(ours.filter((line) => theirs.includes(line))).toEqual(theirs);
    }
  });

  /** Types have names, or numbers where bpftool is old. */
  const withoutTypes = (text: string) => text.replaceAll(/^(\d+): (type )?\w+ {2}/gm, "$1: ");
  const linesOf = (text: string) =>
    withoutTypes(text)
      .trimEnd()
      .split("\n")
      .map((line) => line.trimEnd());
  const withoutOwn = (text: string) => text.replaceAll(/^\t(xgw | {4}).*\n/gm, "");

  /** Arrays of more than this are looked into at one place: bpftool takes its time. Bytes. */
  const large = 512 * 1024;
  const isLarge = (name: string) => {
    using map = BpfMap.openPinned(pins.map(name));
    return map.type.endsWith("array") && map.maxEntries * map.valueStride > large;
  };

  it("every map's elements are the same, but for the flow table's", () => {
    for (const name of pins.maps()) {
      if (name === "flows" || isLarge(name)) continue;
      const theirs = elementsOf(bpftoolText("-j", "map", "dump", "pinned", pins.map(name)));
      const ours = elementsOf(xgwText("map", "dump", name, "-j"));
      const different = ours.findIndex((element, n) => !isWithXgw(element, theirs[n] ?? "nothing"));
      expect({ name, length: ours.length, first: ours[different] }).toEqual({
        name,
        length: theirs.length,
        first: different < 0 ? undefined : theirs[different],
      });
    }
  });

  it("an element of a large array is the same", () => {
    const names = pins.maps().filter(isLarge);
    expect(names).toEqual(expect.arrayContaining(["encaps", "reason_stats", "rule_stats"]));
    for (const name of names) {
      const key = ["key", "1", "0", "0", "0"];
      const theirs = bpftool("map", "lookup", "pinned", pins.map(name), ...key);
      expect(xgwJson("map", "lookup", name, ...key), name).toMatchObject(theirs);
    }
  });

  const elementsOf = (list: string) =>
    list
      .trim()
      .slice(1, -1)
      .split(/,(?=\{"key":\[)/);
  const isWithXgw = (ours: string, theirs: string) =>
    ours === theirs || (ours.startsWith(theirs.slice(0, -1)) && ours.startsWith(',"xgw":{', theirs.length - 1));

  it("variables of programs are the same", () => {
    const sections = (xgwJson("map", "show") as Json[]).filter(({ name }) => String(name).endsWith("rodata"));
    expect(sections.length).toBeGreaterThan(3);
    for (const { id } of sections)
      expect(xgwJson("map", "dump", "id", String(id))).toMatchObject(bpftool("map", "dump", "id", String(id)));
  });

  it("the flow table's lines in use are the same, an element each", () => {
    const buckets = bpftool("map", "dump", "pinned", pins.map("flows")) as {
      key: string[];
      value: string[];
      formatted: { key: number; value: { ways: { key: { protocol: number } }[] } };
    }[];
    const theirs = buckets.flatMap(({ key, value, formatted }) =>
      formatted.value.ways.flatMap((way, n) =>
        way.key.protocol === 0
          ? []
          : [{ key, value: value.slice(n * 64, n * 64 + 64), formatted: { key: formatted.key, value: way } }],
      ),
    );
    const ours = (xgwJson("map", "dump", "flows") as Json[]).map(({ xgw: _, ...element }) => element);
    expect([ours.length, ours]).toEqual([2, theirs]);
  });

  it("a key's bytes find the same, and nothing is null", () => {
    const key = ["key", "hex", "01", "00", "00", "00", "ac", "a8", "00", "07"];
    expect(xgwJson("map", "lookup", "peers", ...key)).toMatchObject(
      bpftool("map", "lookup", "pinned", pins.map("peers"), ...key),
    );
    const { code, stdout } = xgw("-j", "map", "lookup", "peers", "9", "172.168.0.7", "--instance", instance);
    expect([code, JSON.parse(stdout)]).toEqual([1, null]);
  });
});

describe("in words", () => {
  /** Key and value, or values of the first CPU. */
  const words = (name: string): unknown[] =>
    (xgwJson("map", "dump", name) as { xgw: { key: unknown; value?: unknown; values?: Json[] } }[]).map(({ xgw }) => [
      xgw.key,
      xgw.value ?? xgw.values?.[0]?.value,
    ]);

  it.each([
    ["peers", [[{ tenant: "#1", address: "172.168.0.7" }, 1]]],
    ["endpoints", [[{ tenant: "#1", address: "10.0.0.0/24" }, "172.168.0.11"]]],
    ["public_ips", [["2.2.2.11", { tenant: "#1", tunnel_ifindex: "v1", key: 1000, mtu: 1500 }]]],
    ["nics", [["v0", "v0"]]],
    [
      "destinations",
      [
        [
          { tenant: "#1", address: "2.2.2.13/32", service: "tcp/80" },
          { address: "10.0.0.7", port: 8080 },
        ],
      ],
    ],
    ["policy_networks", [[{ scope: "#1/outbound", address: "0.0.0.0/0" }, "0123456789abcdef"]]],
    ["policy_services", [[{ page: "0123456789abcdef", service: "tcp/1024-2047" }, "denied by outbound 2"]]],
  ])("%s", (name, wanted) => {
    expect(words(name)).toEqual(wanted);
  });

  it("devices of tenants, with their VRF", () => {
    expect(new Map(words("tunnels") as [string, string][])).toEqual(
      new Map([
        ["v1", "#1"],
        ["v0", "#1 (VRF)"],
      ]),
    );
  });

  it("a 64-bit counter to its last digit", () => {
    expect(xgwText("map", "dump", "denials")).toContain('"bytes": 18446744073709551600');
  });

  it("a flow: addresses as addresses, its protocol by name, its place", () => {
    const [, { xgw: last }] = xgwJson("map", "dump", "flows") as [unknown, { xgw: Json }];
    expect(last).toMatchObject({
      key: 3,
      way: 31,
      value: {
        key: {
          saddr: "1.1.1.7",
          daddr: "2.2.2.11",
          sport: 4444,
          dport: 22,
          realm: 2000,
          protocol: "tcp",
          wrap: "gretap",
        },
        tenant: "#1",
        peer: "172.168.0.7",
        daddr: "10.0.0.7",
        dport: 2222,
        packets: 31,
      },
    });
  });

  it("every map and program has a word on what it is for", () => {
    const shown = [...(xgwJson("map", "show") as Json[]), ...(xgwJson("prog", "show") as Json[])];
    const pinned = shown.map(({ xgw }) => xgw as Json).filter(({ pin }) => pin !== undefined);
    expect(pinned.filter(({ purpose }) => purpose === undefined)).toEqual([]);
    expect(pinned.length).toBeGreaterThan(55);
  });

  it("what a program is attached as", () => {
    expect(xgwJson("prog", "show", "xgw_xdp").xgw).toEqual({
      instance,
      program: "xgw_xdp",
      fingerprint,
      pin: pins.program(fingerprint, "xgw_xdp"),
      purpose: "forwards packets of known flows, drops what may not come in",
      attached: [{ attachment: "xdp_v0", device: "v0" }],
    });
  });
});

describe("keys by their fields", () => {
  it.each([
    [["peers", "1", "172.168.0.7"]],
    [["peers", "address=172.168.0.7", "tenant=1"]],
    [["endpoints", "1", "10.0.0.7"]], // lies in the network
    [["public_ips", "2.2.2.11"]],
    [["nics", "v0"]],
    [["destinations", "1", "2.2.2.13", "tcp/80"]],
    [["policy_networks", "1/outbound", "8.8.8.8"]],
    [["policy_services", "0123456789abcdef", "tcp/1500"]],
    [["denials", "1", "2"]],
  ])("xgw map lookup %j", (words) => {
    expect(xgwJson("map", "lookup", ...words)).toHaveProperty("xgw");
  });

  it.each([
    [["peers", "1"], "a key of map peers has 2 fields, not 1; give tenant (tenant), address (address)"],
    [["peers", "nobody", "172.168.0.7"], '"nobody" is no tenant (tenant)'],
    [["peers", "1", "172.168.0.700"], '"172.168.0.700" is no address (address)'],
    [["peers", "key", "1", "2"], "key expected 8 bytes got 2"],
    [["peers", "colour=1", "2"], "there is no field colour (left)"],
    [[], "which map?"],
  ])("are refused with what they should be: %j", (words, message) => {
    const { code, stderr } = xgw("map", "lookup", ...words, "--instance", instance);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) });
  });
});

describe("whose", () => {
  const programId = foreign.program("pass").id;
  const ids = (...words: string[]) =>
    (JSON.parse(xgw("prog", "show", "-j", ...words).stdout) as Json[]).map(({ id }) => id);

  it("xgw's only, and others' with --all, without the key xgw", () => {
    const all = JSON.parse(xgw("prog", "show", "-j", "--all").stdout) as Json[];
    expect([ids().includes(programId), byId(all).get(programId)]).toEqual([
      false,
      expect.not.objectContaining({ xgw: expect.anything() }),
    ]);
  });

  it("all instances where there is no config", () => {
    expect(ids()).toEqual(expect.arrayContaining(ids("--instance", instance)));
  });

  it("nothing of an instance that has nothing, and says so", () => {
    const { code, stdout, stderr } = xgw("prog", "show", "-j", "--instance", "other");
    expect([code, JSON.parse(stdout), stderr]).toEqual([0, [], expect.stringContaining("has nothing loaded here")]);
  });

  it("a name that is nowhere: exit code 1", () => {
    const { code, stderr } = xgw("map", "dump", "colours");
    expect([code, stderr]).toEqual([
      1,
      "xgw: there is no map with name colours here; --all looks at what is not xgw's, too\n",
    ]);
  });

  it("without privilege: exit code 4", () => {
    for (const words of [["prog"], ["map"], ["link"], ["net"], ["map", "dump", "flows"]]) {
      const without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", process.execPath, main, ...words];
      expect([words, spawnSync("nsenter", inNamespace(...without)).status]).toEqual([words, 4]);
    }
  });
});

it("run figures, while the kernel counts, and how to make it count", () => {
  const sysctl = (value: string) => spawnSync("sysctl", ["-qw", `kernel.bpf_stats_enabled=${value}`]);
  const before = readFileSync("/proc/sys/kernel/bpf_stats_enabled", "utf8").trim();
  try {
    sysctl("0");
    expect(xgw("prog", "show").stderr).toContain("sysctl -w kernel.bpf_stats_enabled=1");
    sysctl("1");
    namespace.ip("neigh", "add", "10.9.9.9", "lladdr", "02:00:00:00:00:09", "dev", "v0");
    const shown = xgwJson("prog", "show", "xgw_neighbour_made");
    expect(shown).toMatchObject({ run_cnt: expect.any(Number), run_time_ns: expect.any(Number) });
    expect(shown.xgw.ns_per_run).toBeCloseTo(shown.run_time_ns / shown.run_cnt, 0);
    expect(shown).toMatchObject(bpftool("prog", "show", "id", String(shown.id)));
  } finally {
    sysctl(before);
  }
});

describe("what is long", () => {
  it("is dumped with less memory than it takes itself", () => {
    const command = [process.execPath, "--max-old-space-size=48", main, "map", "dump", "reason_stats", "-j"];
    const dumped = spawnSync("nsenter", inNamespace(...command, "--instance", instance), { maxBuffer: room });
    expect([dumped.status, dumped.stdout.length > 64 * 1024 * 1024]).toEqual([0, true]);
  });

  it("ends well when nobody reads on", async () => {
    const command = [process.execPath, main, "map", "dump", "reason_stats", "-j", "--instance", instance];
    const child = spawn("nsenter", inNamespace(...command), { stdio: ["ignore", "pipe", "pipe"] });
    const said: Buffer[] = [];
    child.stderr.on("data", (data: Buffer) => said.push(data));
    await once(child.stdout, "data");
    child.stdout.destroy();
    const [code] = await once(child, "exit");
    expect([code, Buffer.concat(said).toString()]).toEqual([0, ""]);
  });

  it("is without elements of arrays that are all zero, if wanted", () => {
    expect(xgwJson("map", "dump", "flow_usage", "--used")).toEqual([]);
    expect(xgwJson("map", "dump", "flow_usage")).toHaveLength(8192);
  });
});

describe("the JSON schemas of docs/output hold", () => {
  const holds = (name: OutputName, ...words: string[]) => {
    const file = new URL(`../../docs/output/${schemaFile(name)}`, import.meta.url);
    const schema = z.fromJSONSchema(JSON.parse(readFileSync(file, "utf8")));
    expect(schema.safeParse(xgwJson(...words)).error).toBeUndefined();
  };
  it.each<[OutputName, string[]]>([
    ["prog-show", ["prog", "show"]],
    ["prog-show", ["prog", "show", "--all", "-f"]],
    ["prog-show", ["prog", "show", "xgw_xdp"]],
    ["map-show", ["map", "show"]],
    ["map-show", ["map", "show", "--all", "-f"]],
    ["map-dump", ["map", "dump", "flows"]],
    ["map-dump", ["map", "dump", "denials"]],
    ["map-dump", ["map", "dump", "nics"]],
    ["map-lookup", ["map", "lookup", "peers", "1", "172.168.0.7"]],
    ["link-show", ["link", "show"]],
    ["link-show", ["link", "show", "--all"]],
    ["net-show", ["net", "show"]],
    ["net-show", ["net", "show", "--all"]],
  ])("%s: xgw %j", (name, words) => holds(name, ...words));

  it("and refuse what is none", () => {
    const file = new URL(`../../docs/output/${schemaFile("prog-show")}`, import.meta.url);
    const schema = z.fromJSONSchema(JSON.parse(readFileSync(file, "utf8")));
    expect(schema.safeParse([{ id: "1" }]).success).toBe(false);
  });
});
