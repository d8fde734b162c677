/** JSON of what is loaded: a superset, key and value, of what bpftool prints for the same things. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  attachTc,
  type BpfMap,
  BpfObject,
  btfById,
  elementToJson,
  ensureClsact,
  showLinks,
  showMaps,
  showNet,
  showPrograms,
} from "libbpf-ts";
import { expect, onTestFinished, test } from "vitest";
import { objectFile } from "./support/compile.js";
import { bpftool, netNamespace, pinDirectory } from "./support/kernel.js";

type Json = Record<string, unknown>;

function loaded(name: string): BpfObject {
  const object = BpfObject.open(objectFile(name)).load();
  onTestFinished(() => object.close());
  return object;
}

/** Sorted, so that the order of pins does not matter. */
function pinsSorted(json: Json): Json {
  return Array.isArray(json.pinned) ? { ...json, pinned: [...json.pinned].sort() } : json;
}

test("every map of every kind", () => {
  const object = loaded("kinds");
  for (const { name, autocreate } of object.maps) {
    if (!autocreate) continue;
    const { id } = object.map(name).info;
    expect(showMaps({ id })[0], name).toMatchObject(bpftool(["map", "show", "id", String(id)]) as Json);
  }
});

test("a program array tells its owner's type", () => {
  const object = loaded("kinds");
  const { id } = object.map("k_progs").info;
  expect(showMaps({ id })[0]).toMatchObject({ owner_prog_type: "xdp", owner_jited: true });
});

test("a frozen map tells so", () => {
  const object = loaded("kinds");
  const map = object.map("k_hash");
  map.freeze();
  const { id } = map.info;
  expect(showMaps({ id })[0]).toMatchObject(bpftool(["map", "show", "id", String(id)]) as Json);
});

test("every program", () => {
  const object = loaded("basic");
  for (const { name } of object.programs) {
    const { id } = object.program(name);
    expect(showPrograms({ id })[0], name).toMatchObject(bpftool(["prog", "show", "id", String(id)]) as Json);
  }
});

test("a program whose name is longer than the kernel's 15 bytes, in full", () => {
  const { id } = loaded("names").program("a_program_with_quite_a_long_name");
  const theirs = bpftool(["prog", "show", "id", String(id)]) as Json;
  expect([showPrograms({ id })[0]?.name, theirs.name]).toEqual([
    "a_program_with_quite_a_long_name",
    "a_program_with_quite_a_long_name",
  ]);
});

test("a program's run time, while the kernel counts it", () => {
  const program = loaded("basic").program("count");
  const before = execFileSync("sysctl", ["-n", "kernel.bpf_stats_enabled"], { encoding: "utf8" }).trim();
  execFileSync("sysctl", ["-qw", "kernel.bpf_stats_enabled=1"]);
  onTestFinished(() => void execFileSync("sysctl", ["-qw", `kernel.bpf_stats_enabled=${before}`]));
  for (let run = 0; run < 10; run++) program.testRun({ data: Buffer.alloc(64) });
  const { id } = program;
  const shown = showPrograms({ id })[0];
  expect(shown).toMatchObject(bpftool(["prog", "show", "id", String(id)]) as Json);
  expect(shown?.run_cnt).toBe(10);
});

test("pins of maps, programs and links", () => {
  const object = loaded("basic");
  const dir = pinDirectory();
  const ns = netNamespace();
  const link = ns.inside(() => object.program("count").attachXdp({ ifindex: ns.ifindex }));
  onTestFinished(() => link.close());
  object.map("flows").pin(`${dir}/map`);
  object.program("count").pin(`${dir}/prog`);
  link.pin(`${dir}/link`);
  const ids = { map: object.map("flows").info.id, prog: object.program("count").id, link: link.id };
  const ours = {
    map: showMaps({ id: ids.map, pinned: true })[0]?.pinned,
    prog: showPrograms({ id: ids.prog, pinned: true })[0]?.pinned,
    link: showLinks({ id: ids.link, pinned: true })[0]?.pinned,
  };
  expect(ours).toEqual({
    map: expect.arrayContaining([`${dir}/map`]),
    prog: expect.arrayContaining([`${dir}/prog`]),
    link: expect.arrayContaining([`${dir}/link`]),
  });
  for (const kind of ["map", "prog", "link"] as const) {
    const theirs = pinsSorted(bpftool(["-f", kind, "show", "id", String(ids[kind])]) as Json).pinned as string[];
    expect(new Set(ours[kind] as string[]), kind).toEqual(new Set(theirs));
  }
});

test("links of a kind that this bpftool knows", () => {
  const object = loaded("basic");
  const ns = netNamespace();
  using link = ns.inside(() => object.program("count").attachXdp({ ifindex: ns.ifindex }));
  const theirs = bpftool(["link", "show", "id", String(link.id)], ns.name) as Json;
  const [ours] = ns.inside(() => showLinks({ id: link.id }));
  expect(ours).toMatchObject(theirs);
  expect(ours).toMatchObject({ devname: "v0", ifindex: ns.ifindex });
});

test("a link of a tracing program", () => {
  const object = loaded("tracing");
  for (const { name, attachType } of object.programs) {
    using link = object.program(name).attachTracing(attachType);
    const theirs = bpftool(["link", "show", "id", String(link.id)]) as Json;
    expect(showLinks({ id: link.id })[0], name).toMatchObject(theirs);
  }
});

test("a program's instructions and lines, as bpftool dumps them", () => {
  const program = loaded("basic").program("count");
  const theirs = bpftool(["prog", "dump", "xlated", "id", String(program.id)]) as unknown[];
  const { xlated, jited, functions, lines, tags, kernelSymbols, functionLengths } = program.details;
  const btf = btfById(program.info.btfId);
  const wide = theirs.filter((entry) => JSON.stringify(entry).includes("0x18")).length;
  expect(xlated.length).toBe(program.info.xlatedLength);
  expect(xlated.length / 8, "instructions; those of 16 bytes are two").toBeGreaterThanOrEqual(theirs.length);
  expect(xlated.length / 8).toBeLessThanOrEqual(theirs.length + Math.max(wide, theirs.length));
  expect({
    jited: jited.length,
    functions: functions.map(({ typeId }) => btf.type(typeId).name),
    file: btf
      .text(lines[0]?.fileOffset ?? 0)
      .split("/")
      .at(-1),
    texts: lines.map(({ textOffset }) => btf.text(textOffset).trim()),
    tags: tags[0],
    symbols: kernelSymbols.length,
    lengths: functionLengths.length,
  }).toEqual({
    jited: program.info.jitedLength,
    functions: ["count"],
    file: "basic.bpf.c",
    texts: expect.arrayContaining(["return verdict;"]),
    tags: program.info.tag,
    symbols: 1,
    lengths: 1,
  });
});

test("a tcx link, by name where an old bpftool has the number", () => {
  const object = loaded("basic");
  const ns = netNamespace();
  using link = ns.inside(() => object.program("pass").attachTcx({ ifindex: ns.ifindex, direction: "egress" }));
  const { type, ...theirs } = bpftool(["link", "show", "id", String(link.id)]) as Json;
  const [ours] = ns.inside(() => showLinks({ id: link.id }));
  expect([11, "tcx"]).toContain(type);
  expect(ours).toMatchObject({ ...theirs, type: "tcx", attach_type: "tcx_egress", devname: "v0" });
});

test("what hangs on the interfaces of a namespace: xdp, tc and tcx", () => {
  const object = loaded("basic");
  const ns = netNamespace();
  const shown = ns.inside(() => {
    const { ifindex, peerIfindex } = ns;
    const links = [
      object.program("count").attachXdp({ ifindex, mode: "native" }),
      object.program("drop_all").attachXdp({ ifindex: peerIfindex, mode: "generic" }),
      object.program("pass_too").attachTcx({ ifindex, direction: "ingress" }),
    ];
    onTestFinished(() => {
      for (const link of links) link.close();
    });
    ensureClsact(ifindex);
    attachTc(object.program("pass"), { ifindex, direction: "ingress" });
    attachTc(object.program("pass_too"), { ifindex, direction: "egress" });
    return showNet();
  });
  const [theirs] = bpftool(["net", "show"], ns.name) as [{ xdp: Json[]; tc: Json[]; flow_dissector: Json[] }];
  const filters = theirs.tc.filter(({ kind }) => String(kind).startsWith("clsact/"));
  expect(filters.length, "tc filters that bpftool sees; newer ones see tcx as well").toBe(2);
  expect(shown.xdp).toEqual(expect.arrayContaining(theirs.xdp.map((entry) => expect.objectContaining(entry))));
  expect(shown.tc).toEqual(expect.arrayContaining(theirs.tc.map((entry) => expect.objectContaining(entry))));
  expect(shown.tc).toContainEqual(
    expect.objectContaining({ kind: "tcx/ingress", name: "pass_too", prog_id: object.program("pass_too").id }),
  );
  const told = Object.keys(theirs).filter((key) => key !== "netfilter"); // of links on hooks of no interface
  expect(Object.keys(shown)).toEqual(expect.arrayContaining(told));
});

/** All elements, as text. */
function elementsOf(map: BpfMap): string {
  const element = elementToJson(map);
  const elements = [...map.batches()].flatMap(({ keys, values, count }) =>
    Array.from({ length: count }, (_, i) => `${element(keys, i * map.keySize, values, i * map.valueStride)}}`),
  );
  return `[${elements.join(",")}]`;
}

test("the elements of a map of every type of field, letter by letter", () => {
  const object = loaded("types");
  object.program("write").testRun({ data: Buffer.alloc(64) });
  for (const { name } of object.maps) {
    const map = object.map(name);
    if (map.keySize === 0) continue; // a queue: to read it is to take from it
    const { status, stdout } = spawnSync("bpftool", ["-j", "map", "dump", "id", String(map.info.id)], {
      encoding: "utf8",
    });
    expect(status, name).toBe(0);
    expect(elementsOf(map), name).toBe(stdout.trim());
  }
});

test("the elements of maps per CPU, and of maps without types", () => {
  const object = loaded("kinds");
  for (const name of ["k_hash", "k_lru", "k_array", "k_pcpu_hash", "k_pcpu_array", "k_lru_pcpu"]) {
    const map = object.map(name);
    const [key, value] = [Buffer.alloc(map.keySize, 1), Buffer.alloc(map.valueSize, 0xfe)];
    if (!/array/.test(map.type)) {
      if (map.perCpu) map.setPerCpu(key, new Array(map.unpackPerCpu(Buffer.alloc(map.valueStride)).length).fill(value));
      else map.set(key, value);
    }
    const theirs = bpftool(["map", "dump", "id", String(map.info.id)]);
    expect(JSON.parse(elementsOf(map)), name).toEqual(theirs);
  }
});

test("programs in netfilter, in the order in which they run", () => {
  const object = loaded("netfilter");
  const ns = netNamespace();
  const program = object.program(object.programs[0]?.name ?? "");
  const links = ns.inside(() =>
    [7, -3].map((priority) => program.attachNetfilter({ family: "ipv4", hook: "forward", priority })),
  );
  onTestFinished(() => {
    for (const link of links) link.close();
  });
  const ours = ns.inside(() => showNet()).netfilter.filter(({ id }) => id === program.id);
  expect(ours).toEqual(
    [-3, 7].map((prio, n) => ({ pf: 2, hook: 2, prio, flags: 0, id: program.id, link_id: links[1 - n]?.id })),
  );
});
