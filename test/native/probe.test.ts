/** What the kernel can do; tested against what this kernel certainly can and cannot. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { Btf, helperNumbers, possibleCpus, probeAttach, probeFeatures, probeHelper, probeKfunc } from "libbpf-ts";
import { expect, test } from "vitest";
import { bpftool } from "./support/kernel.js";

test("map and program types are those that bpftool finds", () => {
  const theirs = bpftool(["feature", "probe", "kernel"]) as {
    program_types: Record<string, boolean>;
    map_types: Record<string, boolean>;
  };
  const ours = probeFeatures();
  const differing = [
    ...Object.entries(ours.mapTypes).filter(
      ([name, have]) => (theirs.map_types[`have_${name}_map_type`] ?? have) !== have,
    ),
    ...Object.entries(ours.programTypes).filter(
      ([name, have]) => (theirs.program_types[`have_${name}_prog_type`] ?? have) !== have,
    ),
  ];
  expect(differing).toEqual([]);
  expect(ours.mapTypes).toMatchObject({ hash: true, ringbuf: true, lpm_trie: true });
});

test("a helper is allowed where it is and not elsewhere", () => {
  expect([
    probeHelper("xdp", "redirect_map"),
    probeHelper("socket_filter", "redirect_map"),
    probeHelper("xdp", "no_such_helper"),
  ]).toEqual([true, false, false]);
});

test("helpers are known by number", () => {
  expect(helperNumbers().get("map_lookup_elem")).toBe(1);
});

test("a kfunc is found with who has it, for the types of programs that may call it", () => {
  expect([
    probeKfunc("bpf_dynptr_from_xdp", "xdp"),
    probeKfunc("bpf_dynptr_from_xdp", "sched_cls"),
    probeKfunc("bpf_no_such_kfunc", "xdp"),
    probeKfunc("_printk", "xdp"),
  ]).toEqual(["vmlinux", undefined, undefined, undefined]);
});

/** nf_conntrack as a module (it may be built in, or absent). */
const module = existsSync("/sys/kernel/btf/nf_conntrack");

test.runIf(module)("a module's kfunc is found with the module's name, and its own types by name", () => {
  const owner = probeKfunc("bpf_xdp_ct_lookup", "xdp");
  const btf = Btf.module("nf_conntrack");
  const undecoded = [...btf.types()].filter(({ id }) => id < btf.firstId);
  const elsewhere = probeKfunc("bpf_xdp_ct_lookup", "socket_filter");
  expect([
    owner,
    elsewhere,
    undecoded,
    btf.find("nf_conn", "struct")?.kind,
    btf.find("sk_buff", "struct")?.kind,
  ]).toEqual(["nf_conntrack", undefined, [], "struct", "struct"]);
});

test("ways to attach: XDP links and tcx are there from Linux 6.6 on", () => {
  const release = execFileSync("uname", ["-r"], { encoding: "utf8" });
  const [major = 0, minor = 0] = release.split(".").map(Number);
  const recent = major > 6 || (major === 6 && minor >= 6);
  expect([probeAttach("xdp_link"), probeAttach("tcx")]).toEqual([true, recent]);
});

test("possible CPUs are those of the kernel's list", () => {
  const list = execFileSync("cat", ["/sys/devices/system/cpu/possible"], { encoding: "utf8" }).trim();
  const count = list.split(",").reduce((sum, range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return sum + last - first + 1;
  }, 0);
  expect(possibleCpus()).toBe(count);
});
