/** Test runs, links and tc filters, on veth pairs in namespaces of their own. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  attachTc,
  BpfLink,
  BpfObject,
  BpfProgram,
  detachTc,
  ensureClsact,
  interfaceIndex,
  listTcFilters,
  probeAttach,
  queryNetkit,
  queryTcx,
  queryXdp,
  removeClsact,
  setXdp,
} from "libbpf-ts";
import { expect, onTestFinished, test } from "vitest";
import { objectFile } from "./support/compile.js";
import { failure, netNamespace, pinDirectory } from "./support/kernel.js";

function loaded(name = "basic"): BpfObject {
  const object = BpfObject.open(objectFile(name)).load();
  onTestFinished(() => object.close());
  return object;
}

function kept(link: BpfLink): BpfLink {
  onTestFinished(() => link.close());
  return link;
}

test("a test run of many repetitions goes on to its end whatever signals come", () => {
  const bindings = new URL("../../native/dist/index.js", import.meta.url).href;
  const script = `
    import { spawn } from "node:child_process";
    import { BpfObject } from ${JSON.stringify(bindings)};
    let heard = 0;
    process.on("SIGHUP", () => heard++);
    const program = BpfObject.open(${JSON.stringify(objectFile("basic"))}).load().program("count");
    const sender = spawn("sh", ["-c", "while kill -HUP $PPID; do sleep 0.01; done"], { stdio: "ignore" });
    while (heard === 0) await new Promise((done) => setTimeout(done, 5));
    const { durationNs } = program.testRun({ data: Buffer.alloc(64), repeat: 2_000_000 });
    sender.kill();
    console.log(durationNs > 0);`;
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  expect([run.stdout, run.stderr]).toEqual(["true\n", ""]);
});

test("a test run gives verdict, packet and time", () => {
  const data = Buffer.alloc(64, 7);
  const result = loaded().program("count").testRun({ data });
  expect(result).toMatchObject({ retval: 2, data });
  expect(result.durationNs, "ns a run").toBeGreaterThan(0);
});

test("a packet comes out as the program made it", () => {
  const program = loaded("packet").program("grow_and_mark");
  const { data } = program.testRun({ data: Buffer.from(Array.from({ length: 64 }, (_, i) => i)) });
  expect([data.length, data[0], data[8], data[9]]).toEqual([72, 0xaa, 0, 1]);
});

test("a socket buffer's mark goes in and comes out", () => {
  const program = loaded("packet").program("double_mark");
  const context = Buffer.alloc(192);
  context.writeUInt32LE(21, 8);
  const result = program.testRun({ data: Buffer.alloc(64), context });
  expect(result.context?.readUInt32LE(8)).toBe(42);
});

test("a packet that grew past the room for it is ENOSPC, with its size", () => {
  const program = loaded("packet").program("grow_and_mark");
  expect(failure(() => program.testRun({ data: Buffer.alloc(64), dataOutSize: 64 })).message).toBe(
    "test run of program grow_and_mark: the packet that came out has 72 bytes: raise dataOutSize (ENOSPC)",
  );
});

test("live frames really pass through the program", () => {
  const object = loaded();
  object.program("drop_all").testRun({ data: Buffer.alloc(64), repeat: 1, liveFrames: true });
  object.program("count").testRun({ data: Buffer.alloc(64), repeat: 1 });
  const ns = netNamespace();
  const context = Buffer.alloc(24);
  context.writeUInt32LE(64, 4);
  context.writeUInt32LE(ns.ifindex, 12);
  const frames = { data: Buffer.alloc(64), context, repeat: 64, liveFrames: true, batchSize: 64 };
  const counter = ns.inside(() => {
    for (let batch = 0; batch < 16; batch++) object.program("count").testRun(frames);
    return object.readVariable("seen");
  });
  expect(counter).toBe(1025n);
});

test("a packet that is too short is EINVAL", () => {
  expect(
    failure(() =>
      loaded()
        .program("count")
        .testRun({ data: Buffer.alloc(4) }),
    ).code,
  ).toBe("EINVAL");
});

test("a program opens by pin, id and name", () => {
  const object = BpfObject.open(objectFile("names")).load();
  onTestFinished(() => object.close());
  const program = object.program("a_program_with_quite_a_long_name");
  const path = `${pinDirectory()}/program`;
  program.pin(path);
  using byPin = BpfProgram.openPinned(path);
  using byId = BpfProgram.openById(program.id);
  expect([byPin.id, byId.id]).toEqual([program.id, program.id]);
});

test("a closed program refuses use", () => {
  const program = loaded().program("count");
  program.close();
  program.close();
  expect(failure(() => program.testRun({ data: Buffer.alloc(64) })).code).toBe("EBADF");
});

test.each(["native", "generic"] as const)("a program attached as %s XDP is what the interface has", (mode) => {
  const ns = netNamespace();
  const program = loaded().program("count");
  const seen = ns.inside(() => {
    const link = kept(program.attachXdp({ ifindex: ns.ifindex, mode }));
    return { query: queryXdp(ns.ifindex), info: link.info };
  });
  expect(seen).toMatchObject({
    query: { mode, progId: program.id },
    info: { type: "xdp", progId: program.id, ifindex: ns.ifindex },
  });
});

test("a NIC without offload refuses it: there is no silent fallback", () => {
  const ns = netNamespace();
  const program = loaded().program("count");
  const attach = () => program.attachXdp({ ifindex: ns.ifindex, mode: "offload" });
  expect(failure(() => ns.inside(attach)).message).toMatch(
    /^attach program count to xdp of v0: .*\(EOPNOTSUPP|EINVAL\)$/,
  );
});

test("an interface that has a program refuses another", () => {
  const ns = netNamespace();
  const object = loaded();
  const code = ns.inside(() => {
    kept(object.program("count").attachXdp({ ifindex: ns.ifindex }));
    return failure(() => object.program("drop_all").attachXdp({ ifindex: ns.ifindex })).code;
  });
  expect(code).toBe("EBUSY");
});

test("an update replaces the program in place", () => {
  const ns = netNamespace();
  const object = loaded();
  const link = ns.inside(() => kept(object.program("count").attachXdp({ ifindex: ns.ifindex })));
  link.update(object.program("drop_all"), { expected: object.program("count") });
  expect(ns.inside(() => queryXdp(ns.ifindex).progId)).toBe(object.program("drop_all").id);
});

test("an update that expects another program is refused, and changes nothing", () => {
  const ns = netNamespace();
  const object = loaded();
  const link = ns.inside(() => kept(object.program("count").attachXdp({ ifindex: ns.ifindex })));
  const wrong = () => link.update(object.program("drop_all"), { expected: object.program("drop_all") });
  expect([failure(wrong).code, link.info.progId]).toEqual(["EPERM", object.program("count").id]);
});

test("closing the last handle of a link detaches it", () => {
  const ns = netNamespace();
  const query = ns.inside(() => {
    loaded().program("count").attachXdp({ ifindex: ns.ifindex }).close();
    return queryXdp(ns.ifindex);
  });
  expect(query.mode).toBeUndefined();
});

test("a pinned link lives on, opens by pin and by id, and ends when unpinned", () => {
  const ns = netNamespace();
  const path = `${pinDirectory()}/link`;
  const program = loaded().program("count");
  const attached = () => ns.inside(() => queryXdp(ns.ifindex).progId);
  const link = ns.inside(() => program.attachXdp({ ifindex: ns.ifindex }));
  const { id } = link;
  link.pin(path);
  link.close();
  const afterClose = attached();
  const byPin = BpfLink.openPinned(path);
  const byId = BpfLink.openById(id);
  const ids = [byPin.id, byId.id];
  byPin.unpin();
  byPin.close();
  byId.close();
  expect({ afterClose, ids, afterUnpin: attached() }).toEqual({
    afterClose: program.id,
    ids: [id, id],
    afterUnpin: undefined,
  });
});

test("a detached link has no interface any more", () => {
  const ns = netNamespace();
  const link = ns.inside(() => kept(loaded().program("count").attachXdp({ ifindex: ns.ifindex })));
  link.detach();
  expect(link.info.ifindex).toBe(0);
});

test("XDP without a link replaces only what is expected", () => {
  const ns = netNamespace();
  const object = loaded();
  const [count, drop] = [object.program("count"), object.program("drop_all")];
  const seen = ns.inside(() => {
    setXdp(ns.ifindex, count, { mode: "native", expected: null });
    const busy = failure(() => setXdp(ns.ifindex, drop, { mode: "native", expected: null })).code;
    const wrong = failure(() => setXdp(ns.ifindex, drop, { mode: "native", expected: drop })).code;
    setXdp(ns.ifindex, drop, { mode: "native", expected: count });
    const now = queryXdp(ns.ifindex).progId;
    setXdp(ns.ifindex, undefined, { mode: "native", expected: drop });
    return { busy, wrong, now, end: queryXdp(ns.ifindex).progId };
  });
  expect(seen).toEqual({ busy: "EBUSY", wrong: "EEXIST", now: drop.id, end: undefined });
});

test("an interface that is not there cannot be queried", () => {
  expect(failure(() => queryXdp(999_999)).code).toMatch(/ENODEV|EINVAL/);
});

test("tcx runs programs in the order that the anchors say", () => {
  const ns = netNamespace();
  const object = loaded();
  const [a, b] = [object.program("pass"), object.program("pass_too")];
  using c = BpfObject.open(objectFile("packet")).load();
  const third = c.program("double_mark");
  const order = ns.inside(() => {
    const at = { ifindex: ns.ifindex, direction: "ingress" } as const;
    const link = kept(a.attachTcx(at));
    kept(b.attachTcx({ ...at, before: link }));
    kept(third.attachTcx({ ...at, after: { progId: b.id } }));
    return queryTcx(ns.ifindex, "ingress").entries.map(({ progId }) => progId);
  });
  expect(order).toEqual([b.id, third.id, a.id]);
});

test("tcx refuses to attach to a revision that has passed", () => {
  const ns = netNamespace();
  const object = loaded();
  const code = ns.inside(() => {
    const at = { ifindex: ns.ifindex, direction: "egress" } as const;
    const { revision } = queryTcx(ns.ifindex, "egress");
    kept(object.program("pass").attachTcx(at));
    return failure(() => object.program("pass_too").attachTcx({ ...at, expectedRevision: revision })).code;
  });
  expect(code).toBe("ESTALE");
});

test("both anchors at once are refused", () => {
  const attach = () =>
    loaded().program("pass").attachTcx({ ifindex: 1, direction: "ingress", before: "all", after: "all" });
  expect(failure(attach).message).toBe("attach to interface 1: both before and after are given (EINVAL)");
});

test("a netkit hook is refused by a device that is none", () => {
  const ns = netNamespace();
  const attach = () => ns.inside(() => loaded().program("pass").attachNetkit({ ifindex: ns.ifindex, side: "primary" }));
  const query = () => ns.inside(() => queryNetkit(ns.ifindex, "peer"));
  expect([failure(attach).code, failure(query).code]).toEqual([
    expect.stringMatching(/EINVAL|ENXIO/),
    expect.stringMatching(/EINVAL|ENXIO/),
  ]);
});

test.runIf(probeAttach("netkit"))("a netkit device takes programs on both sides, in order", () => {
  const ns = netNamespace();
  const object = loaded();
  const [a, b] = [object.program("pass"), object.program("pass_too")];
  execFileSync("ip", ["-n", ns.name, "link", "add", "nkside", "type", "netkit"]);
  const seen = ns.inside(() => {
    const ifindex = interfaceIndex("nkside");
    const primary = kept(a.attachNetkit({ ifindex, side: "primary" }));
    kept(b.attachNetkit({ ifindex, side: "primary", before: primary }));
    kept(a.attachNetkit({ ifindex, side: "peer" }));
    const ids = (side: "primary" | "peer") => queryNetkit(ifindex, side).entries.map(({ progId }) => progId);
    return { primary: ids("primary"), peer: ids("peer"), info: primary.info };
  });
  expect(seen).toMatchObject({
    primary: [b.id, a.id],
    peer: [a.id],
    info: { type: "netkit", attachType: "netkit_primary" },
  });
});

test("a classic tc filter attaches, is listed, is replaced and detaches", () => {
  const ns = netNamespace();
  const object = loaded();
  const { ifindex } = ns;
  const story = ns.inside(() => {
    const made = [ensureClsact(ifindex), ensureClsact(ifindex)];
    const filter = attachTc(object.program("pass"), { ifindex, direction: "egress", priority: 5 });
    const listed = listTcFilters().map(({ kind, progId, priority }) => ({ kind, progId, priority }));
    const { priority, handle } = filter;
    const next = attachTc(object.program("pass_too"), {
      ifindex,
      direction: "egress",
      priority,
      handle,
      replace: true,
    });
    detachTc(next);
    return { made, listed, replaced: next.progId, left: listTcFilters(), removed: [removeClsact(ifindex)] };
  });
  expect(story).toEqual({
    made: [true, false],
    listed: [{ kind: "clsact/egress", progId: object.program("pass").id, priority: 5 }],
    replaced: object.program("pass_too").id,
    left: [],
    removed: [true],
  });
});

test("a tc filter that is not there cannot be detached", () => {
  const ns = netNamespace();
  const detach = () => detachTc({ ifindex: ns.ifindex, direction: "ingress", priority: 9, handle: 9 });
  const code = ns.inside(() => {
    ensureClsact(ns.ifindex);
    return failure(detach).code;
  });
  expect(code).toMatch(/ENOENT|EINVAL/);
});

const ping = (ns: string) => spawnSync("ip", ["netns", "exec", ns, "ping", "-c1", "-W1", "127.0.0.1"]).status === 0;

function loopbackNamespace() {
  const ns = netNamespace();
  execFileSync("ip", ["-n", ns.name, "link", "set", "lo", "up"]);
  return ns;
}

test("a netfilter program sees the packets of its hook, and its link says where it is", () => {
  const object = loaded("netfilter");
  const ns = loopbackNamespace();
  const hook = { family: "ipv4", hook: "local_in", priority: 5 } as const;
  const link = ns.inside(() => kept(object.program("count_packets").attachNetfilter(hook)));
  expect(ping(ns.name), "the program accepts").toBe(true);
  expect(object.readVariable("seen"), "a question and an answer").toBe(2n);
  expect(link.info).toMatchObject({
    type: "netfilter",
    attachType: "netfilter",
    netfilter: { family: 2, hook: 1, priority: 5, flags: 0 },
  });
});

test("a netfilter program's verdict ends a packet, for as long as the link is attached", () => {
  const object = loaded("netfilter");
  const ns = loopbackNamespace();
  const hook = { family: "ipv4", hook: "local_in", priority: 5 } as const;
  const link = ns.inside(() => kept(object.program("drop_packets").attachNetfilter(hook)));
  expect(ping(ns.name), "attached").toBe(false);
  link.detach();
  expect(ping(ns.name), "detached").toBe(true);
});

test("a raw tracepoint program runs when its tracepoint is passed, and its link names it", () => {
  const object = loaded("tracepoint");
  const ns = loopbackNamespace();
  const link = kept(object.program("count_neighbours").attachRawTracepoint("neigh_create"));
  execFileSync("ip", ["-n", ns.name, "neigh", "add", "192.0.2.1", "lladdr", "02:00:00:00:00:01", "dev", "v0"]);
  expect(object.readVariable("made")).not.toBe(0n);
  expect(link.info).toMatchObject({ type: "raw_tracepoint", tracepointName: "neigh_create" });
});

test("a tracepoint that is not there is ENOENT", () => {
  const program = loaded("tracepoint").program("count_neighbours");
  expect(failure(() => program.attachRawTracepoint("no_such_tracepoint")).code).toBe("ENOENT");
});

test("two netfilter programs cannot have one priority at a hook", () => {
  const object = loaded("netfilter");
  const ns = loopbackNamespace();
  const attach = () =>
    object.program("count_packets").attachNetfilter({ family: "ipv4", hook: "forward", priority: 5 });
  ns.inside(() => kept(attach()));
  expect(failure(() => ns.inside(attach)).code).toBe("EBUSY");
});
