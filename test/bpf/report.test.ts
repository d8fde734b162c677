// xgw report: what is in the archive, that nothing of the originals is in a redacted one, and what it refuses.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { outputSchemas } from "../../src/cli/output/schemas.js";
import { writeArchive } from "../../src/report/archive.js";
import { Collector, lackOf } from "../../src/report/collect.js";
import { FlowGateway } from "./support/flow-gateway.js";

const gateway = await FlowGateway.make(1024);
const folder = mkdtempSync(join(tmpdir(), "xgw-report-test-"));
afterAll(() => rmSync(folder, { recursive: true }));
const place = (name: string) => join(folder, name);

/** What nobody may read in a redacted report. The link-layer address is one that the machine really has. */
const secretMac = "0e:53:4d:49:54:48";
const secretNames = ["user1", "user2", "eth0", gateway.pins.instance, "v0", "v1"];
const secretAddresses = [
  ...new Set(readFileSync(gateway.config, "utf8").match(/\b\d+\.\d+\.\d+\.\d+/g)),
  "203.0.113.77",
  "2001:db8:77::5",
].filter((address) => address !== "0.0.0.0");

interface Manifest {
  readonly versions: Readonly<Record<string, string>>;
  readonly redacted: boolean;
  readonly files: readonly { readonly file: string; readonly command: string; readonly exitCode?: number }[];
}

function unpack(name: string) {
  const into = place(`${name}.d`);
  execFileSync("mkdir", [into]);
  execFileSync("tar", ["-C", into, "-xzf", place(name)]);
  const root = join(into, "xgw-report");
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const read = (file: string) => readFileSync(join(root, file), "utf8");
  return { files, read, manifest: JSON.parse(read("manifest.json")) as Manifest };
}

beforeAll(() => {
  gateway.namespace.ip("link", "set", "v1", "address", secretMac);
  gateway.namespace.ip("address", "add", "203.0.113.77/24", "dev", "v0");
  gateway.namespace.ip("address", "add", "10.0.0.3/24", "dev", "v0");
  writeFileSync(gateway.config, `${readFileSync(gateway.config, "utf8")}# Mr Hushhush pays for this, 2001:db8:77::5\n`);
});

describe("a report as it is", () => {
  it("has inspection, machine, network and config, and says of each file how it came to be", () => {
    const { code, stdout, stderr } = gateway.xgw("report", place("plain.tar.gz"), "-j");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const said = outputSchemas.report.schema.parse(JSON.parse(stdout));
    const { files, read, manifest } = unpack("plain.tar.gz");
    expect(files.length).toBe(said.files);
    expect(manifest.files.length).toBe(said.files - 1);
    expect(manifest.versions).toEqual({ xgw: expect.any(String), node: process.version, libbpf: expect.any(String) });
    expect(read("config/main.yaml")).toBe(readFileSync(gateway.config, "utf8"));
    expect(JSON.parse(read("xgw/map.json")).length).toBeGreaterThan(10);
    expect(read("network/addresses.txt")).toContain("203.0.113.77/24");
    expect(read("network/links.txt")).toContain(secretMac);
    expect(manifest.files.find(({ file }) => file === "xgw/plan.txt")).toMatchObject({
      command: "xgw plan",
      exitCode: expect.any(Number),
    });
    // This kernel has no modules, or knows which: either is told.
    expect(said.incomplete.map(({ file }) => file)).toContain("xgw/metrics.txt");
  });

  it("is for its owner alone", () => {
    expect(statSync(place("plain.tar.gz")).mode & 0o777).toBe(0o600);
  });

  it("leaves nothing beside it", () => {
    expect(readdirSync(folder).filter((name) => name.startsWith("."))).toEqual([]);
  });
});

describe("a redacted report", () => {
  it("has no address, name or link-layer address of the config or the machine in any byte of it", () => {
    const map = place("names.json");
    const { code, stderr } = gateway.xgw("report", place("redacted.tar.gz"), "--redact", "--redact-map", map);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { files, manifest } = unpack("redacted.tar.gz");
    expect(manifest.redacted).toBe(true);
    const found = files.flatMap((file) => {
      const bytes = readFileSync(file, "latin1");
      return [...secretAddresses, secretMac, ...secretNames, hostname(), "Hushhush"]
        .filter((secret) => whole(secret).test(bytes))
        .map((secret) => `${secret} in ${file}`);
    });
    expect(found).toEqual([]);
  });

  it("keeps who is in which network, and is told by the map, which is not in it", () => {
    const map = JSON.parse(readFileSync(place("names.json"), "utf8")) as Record<string, string>;
    const [host = "", other = "", network = ""] = ["10.0.0.7", "10.0.0.3", "203.0.113.77"].map((one) => map[one] ?? "");
    const start = (address: string) => address.split(".").slice(0, 3).join(".");
    expect(start(host)).toBe(start(other));
    expect(start(host)).not.toBe(start(network));
    expect(statSync(place("names.json")).mode & 0o777).toBe(0o600);
    const { read, files } = { ...readBack("redacted.tar.gz") };
    expect(read("config/main.yaml")).toContain(host);
    expect(read("network/addresses.txt")).toContain(`${network}/24`);
    expect(files.some((file) => file.includes("names"))).toBe(false);
  });
});

/** What `unpack` has unpacked. */
function readBack(name: string) {
  const root = join(place(`${name}.d`), "xgw-report");
  const files = readdirSync(root, { recursive: true }).map(String);
  return { files, read: (file: string) => readFileSync(join(root, file), "utf8") };
}

/** Not in the middle of a longer number or word. */
function whole(secret: string): RegExp {
  const text = secret.replaceAll(".", "\\.");
  return new RegExp(`(?<![A-Za-z0-9]|[0-9]\\.)${text}(?![A-Za-z0-9]|\\.[0-9])`);
}

describe("refused, with nothing written", () => {
  it("a file that is there already", () => {
    writeFileSync(place("there"), "mine");
    const { code, stderr } = gateway.xgw("report", place("there"));
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining("is there already; name another file"),
    });
    expect(readFileSync(place("there"), "utf8")).toBe("mine");
  });

  it("a folder that is not there", () => {
    const { code, stderr } = gateway.xgw("report", place("none/a.tar.gz"));
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("there is no folder") });
  });

  it("a map of what is not replaced", () => {
    expect(gateway.xgw("report", place("b.tar.gz"), "--redact-map", place("b.json")).code).toBe(2);
  });

  it("a file system that is full", async () => {
    const full = mkdtempSync(join(tmpdir(), "xgw-full-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", full]);
    onTestFinished(() => {
      execFileSync("umount", [full]);
      rmSync(full, { recursive: true });
    });
    const files = new Map([["big.txt", "x".repeat(1_000_000)]]);
    await expect(writeArchive(join(full, "a.tar.gz"), files)).rejects.toThrow(/there is no room for .*a\.tar\.gz/);
    expect(readdirSync(full)).toEqual([]);
  });

  it("a file that somebody makes meanwhile stays theirs", async () => {
    const file = place("meanwhile");
    const done = writeArchive(file, new Map([["a", "b"]]));
    writeFileSync(file, "theirs");
    await expect(done).rejects.toThrow(/is there already/);
    expect(readFileSync(file, "utf8")).toBe("theirs");
  });
});

describe("what a report collects is bounded, and what fails is told", () => {
  const bounds = { commandMs: 300, allMs: 60_000, fileBytes: 1000, allBytes: 1500 };
  const collected = async (...command: string[]) => {
    const collector = new Collector([], bounds);
    await collector.run({ file: "f", command });
    return collector.files[0];
  };

  it("a command that does not end", async () => {
    const file = await collected("sh", "-c", "echo begun; sleep 60");
    expect(file).toMatchObject({ text: "begun\n", truncated: "time" });
    expect(file && lackOf(file)).toBe("its command took too long");
  });

  it("a command that says too much", async () => {
    expect(await collected("yes")).toMatchObject({ bytes: 1000, truncated: "size" });
  });

  it("a program that is not there", async () => {
    expect(await collected("xgw-no-such-program")).toMatchObject({ said: "xgw-no-such-program is not installed" });
  });

  it("a command that fails", async () => {
    const file = await collected("sh", "-c", "echo no >&2; exit 7");
    expect(file).toMatchObject({ exitCode: 7, bytes: 0, said: "no" });
    expect(file && lackOf(file)).toBe("no");
  });

  it("all together", async () => {
    const collector = new Collector([], bounds);
    for (const file of ["a", "b", "c"]) await collector.run({ file, command: ["yes"] });
    expect(collector.files.map(({ bytes }) => bytes)).toEqual([1000, 500, 0]);
  });
});

it("is not there when a report was refused", () => {
  expect(existsSync(place("b.tar.gz"))).toBe(false);
});
