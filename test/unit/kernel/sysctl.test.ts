// Names of settings and the files that they are; device names may have dots.
import { describe, expect, it, vi } from "vitest";
import { isSettable, readSysctl, writeSysctl } from "../../../src/kernel/sysctl.js";

const files = vi.hoisted(() => new Map<string, string>());

const missing = vi.hoisted(() => () => Object.assign(new Error("no such file"), { code: "ENOENT" }));

vi.mock("node:fs", () => ({
  constants: { W_OK: 2 },
  accessSync: (path: string) => {
    if (!files.has(path)) throw missing();
    if (files.get(path) === "read only") throw Object.assign(new Error("read only"), { code: "EACCES" });
  },
  readFileSync: (path: string) => {
    const value = files.get(path);
    if (value === undefined) throw missing();
    if (value === "refused") throw Object.assign(new Error("refused"), { code: "EACCES" });
    return `${value}\n`;
  },
  writeFileSync: (path: string, value: string) => {
    if (!files.has(path)) throw missing();
    files.set(path, value);
  },
}));

describe("a setting's file", () => {
  for (const [name, path] of [
    ["net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"],
    ["net.netfilter.nf_conntrack_max", "/proc/sys/net/netfilter/nf_conntrack_max"],
    ["net.ipv4.conf.eth0.rp_filter", "/proc/sys/net/ipv4/conf/eth0/rp_filter"],
    ["net.ipv4.conf.eth0.100.rp_filter", "/proc/sys/net/ipv4/conf/eth0.100/rp_filter"],
    ["net.ipv4.conf.a.b.c.rp_filter", "/proc/sys/net/ipv4/conf/a.b.c/rp_filter"],
    ["net.ipv4.conf.all.rp_filter", "/proc/sys/net/ipv4/conf/all/rp_filter"],
  ] as const)
    it(`of ${name} is ${path}`, () => {
      files.set(path, "1");
      expect(readSysctl(name)).toBe("1");
      files.delete(path);
    });
});

it("a setting that is not there has no value", () => {
  expect(readSysctl("net.ipv4.conf.gone.rp_filter")).toBeUndefined();
});

it("a setting that may not be read is an error, not a missing one", () => {
  files.set("/proc/sys/net/secret", "refused");
  expect(() => readSysctl("net.secret")).toThrow("refused");
});

it("a setting is written as it is", () => {
  files.set("/proc/sys/net/ipv4/ip_forward", "0");
  writeSysctl("net.ipv4.ip_forward", "1");
  expect(files.get("/proc/sys/net/ipv4/ip_forward")).toBe("1");
});

it("a setting that cannot be written because it is not there is the kernel's side of things", () => {
  expect(() => writeSysctl("net.netfilter.gone", "1")).toThrow(
    expect.objectContaining({ code: "XGW_KERNEL", message: "there is no setting net.netfilter.gone" }),
  );
});

it("one of a device that has gone says so, and does not ask for a module", () => {
  expect(() => writeSysctl("net.ipv4.conf.xgre1000.rp_filter", "0")).toThrow(
    expect.objectContaining({
      message: "there is no setting net.ipv4.conf.xgre1000.rp_filter: the device xgre1000 has gone",
      remedy: expect.not.stringContaining("module"),
    }),
  );
});

describe("whether a setting can be written from here", () => {
  it.each([
    ["is there and can be written", "net.ipv4.ip_forward", "0", true],
    ["can be read only, as in another namespace than the first", "net.netfilter.nf_conntrack_max", "read only", false],
    ["comes with a module that is not loaded yet", "net.netfilter.nf_conntrack_buckets", undefined, true],
    ["is not there, as in another namespace than the first", "net.ipv4.neigh.default.gc_thresh3", undefined, false],
  ] as const)("one that %s", (_what, name, value, wanted) => {
    const path = `/proc/sys/${name.replaceAll(".", "/")}`;
    files.delete(path);
    if (value !== undefined) files.set(path, value);
    expect(isSettable(name)).toBe(wanted);
    files.delete(path);
  });
});
