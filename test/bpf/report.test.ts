// `xgw report` as a shell sees it, of a gateway with real maps and connections in a network namespace: what is in the archive, what
// is not in a redacted one, and that neither a part that fails nor a full disk leaves anything half done.
import { execFileSync, spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Manifest, manifestSchema } from "../../src/report/schema.js";
import { FlowGateway } from "./support/flow-gateway.js";
import { track } from "./support/kernel.js";
import { connectionOf } from "./support/world.js";

const main = fileURLToPath(new URL("../../dist/xgw/lib/main.js", import.meta.url));
const gateway = await FlowGateway.make(4096);
const folder = mkdtempSync(join(tmpdir(), "xgw-report-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

beforeAll(() => {
  appendFileSync(gateway.config, "# our customer Hush-Hush\n");
  const beside = join(dirname(gateway.config), "tenants.d");
  mkdirSync(beside);
  writeFileSync(join(beside, "secretive.yaml"), "name: secretive-labs\nkey: 3000\naddresses: [10.77.0.1/16]\n");
  const connection = connectionOf({ client: { address: "1.1.1.7", port: 40_000 } });
  gateway.teach(connection);
  track(gateway.namespace, connection, { status: "SEEN_REPLY,ASSURED" });
  gateway.namespace.ip("address", "add", "172.168.0.1/24", "dev", "v0");
  gateway.namespace.ip("neighbour", "add", "172.168.0.11", "lladdr", "52:54:00:ab:cd:ef", "dev", "v0");
});

/** The files of an archive, by their path below its folder. */
function unpacked(archive: string): Map<string, Buffer> {
  const into = mkdtempSync(join(folder, "unpacked-"));
  execFileSync("tar", ["--extract", "--gzip", `--file=${archive}`, `--directory=${into}`]);
  const root = join(into, "xgw-report");
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(paths.map((path) => [path.slice(root.length + 1), readFileSync(path)]));
}

const text = (files: Map<string, Buffer>, path: string) => String(files.get(path) ?? "");

describe("a report", () => {
  const archive = join(folder, "whole.tar.gz");
  let files: Map<string, Buffer>;
  let printed: Manifest;
  beforeAll(() => {
    printed = manifestSchema.parse(gateway.json("report", archive)[0]);
    files = unpacked(archive);
  }, 120_000);

  it("has what inspection shows, the config, and what the kernel has", () => {
    expect(text(files, "xgw/flows.txt")).toContain("1.1.1.7:40000");
    expect(JSON.parse(text(files, "xgw/map.json"))).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: "flows" })]),
    );
    expect(text(files, "config/tenants.d/secretive.yaml")).toContain("secretive-labs");
    expect(text(files, "network/neighbour.txt")).toContain("52:54:00:ab:cd:ef");
    expect(text(files, "nics/v0/driver.txt")).toContain("driver: veth");
  });

  it("says of each file how it was had, and of nothing else", () => {
    const told = printed.parts.flatMap(({ file, bytes }) => (file === undefined ? [] : [[file, bytes]]));
    const there = Array.from(files, ([path, bytes]) => [path, bytes.length]);
    expect(told.sort()).toEqual(there.filter(([path]) => path !== "manifest.json").sort());
  });

  it("has the manifest in it that is printed", () => {
    expect(JSON.parse(text(files, "manifest.json"))).toEqual(printed);
  });

  it("says of what is not there why", () => {
    const without = printed.parts.filter(({ file }) => file === undefined);
    const unexplained = without.filter(({ error, stderr, exitCode }) => !error && !stderr && exitCode !== 0);
    expect(unexplained).toEqual([]);
  });

  it("is for its owner's eyes", () => {
    expect(statSync(archive).mode & 0o777).toBe(0o600);
  });

  it("leaves a file alone that is there already", () => {
    const before = readFileSync(archive);
    const { code, stderr } = gateway.xgw("report", archive);
    expect([code, stderr]).toEqual([1, `xgw: ${archive} is there already; name another file, or remove it\n`]);
    expect(readFileSync(archive).equals(before)).toBe(true);
  });
});

describe("a redacted report", () => {
  const archive = join(folder, "redacted.tar.gz");
  const mapFile = join(folder, "map.json");
  let files: Map<string, Buffer>;
  let mapping: Record<string, string>;
  beforeAll(() => {
    const { code, stderr } = gateway.xgw("report", archive, "--redact", "--redact-map", mapFile);
    expect([code, stderr]).toEqual([0, ""]);
    files = unpacked(archive);
    mapping = JSON.parse(readFileSync(mapFile, "utf8"));
  }, 120_000);

  /** By the config, and by the kernel. */
  function originals(): string[] {
    const config = readFileSync(gateway.config, "utf8");
    const addresses = config.match(/\d+\.\d+\.\d+\.\d+/g) ?? [];
    const macs = gateway.namespace.exec("ip", "link").match(/(?<=link\/ether )\S+/g) ?? [];
    const names = ["user1", "user2", "secretive", "secretive-labs", "Hush-Hush"];
    return [...addresses, "10.77.0.1", ...macs, "52:54:00:ab:cd:ef", ...names];
  }

  it("has no address and no name of a tenant's in any byte, nor in the name of a file", () => {
    const whole = Buffer.concat([...files].flatMap(([path, bytes]) => [Buffer.from(`\n${path}\n`), bytes]));
    expect(originals().filter((one) => whole.includes(one))).toEqual([]);
  });

  it("has no device's and no host's name in it", () => {
    const whole = [...files].map(([path, bytes]) => `${path}\n${bytes}`).join("\n");
    for (const name of ["eth0", "v0", hostname()])
      expect([name, new RegExp(`(?<![a-z0-9])${name}(?![a-z0-9])`).exec(whole)?.[0]]).toEqual([name, undefined]);
  });

  it("has the same stand-in of the same address in each file", () => {
    const standIn = mapping["1.1.1.7"] ?? "none";
    expect([text(files, "config/xgw.yaml"), text(files, "xgw/flows.txt")]).toEqual([
      expect.stringContaining(standIn),
      expect.stringContaining(`${standIn}:40000`),
    ]);
  });

  it("keeps lines where they were, and what is JSON", () => {
    const lines = (words: string) => words.split("\n").length;
    expect(lines(text(files, "config/xgw.yaml"))).toBe(lines(readFileSync(gateway.config, "utf8")));
    for (const [path, bytes] of files)
      if (path.endsWith(".json")) expect(() => JSON.parse(String(bytes))).not.toThrow();
  });

  it("does not have what stands for what in it; that is in a file for its owner's eyes", () => {
    expect([statSync(mapFile).mode & 0o777, mapping.user1]).toEqual([0o600, "tenant-1"]);
    expect([...files.keys()].filter((path) => path.includes("map.json") && path !== "xgw/map.json")).toEqual([]);
  });
});

describe("where things are not as they should be", () => {
  const broken = join(folder, "broken");
  beforeAll(() => {
    mkdirSync(broken);
    writeFileSync(join(broken, "xgw.yaml"), "tenants: [ { name: hidden\n");
  });

  it("a config that is no YAML is not in a redacted report, and the rest is", () => {
    const archive = join(folder, "no-yaml.tar.gz");
    const { status } = spawnSync(process.execPath, [
      main,
      "-c",
      join(broken, "xgw.yaml"),
      "report",
      archive,
      "--redact",
    ]);
    const files = unpacked(archive);
    const whole = Buffer.concat([...files.values()]);
    expect([status, files.has("config/xgw.yaml"), files.has("versions/kernel.txt")]).toEqual([0, false, true]);
    expect(text(files, "manifest.json")).toContain("what is no YAML cannot be redacted");
    expect(whole.includes("name: hidden")).toBe(false);
  }, 120_000);

  it("without any privilege, what everybody may see is there, and the rest is told", () => {
    const open = mkdtempSync(join(tmpdir(), "xgw-report-open-"));
    execFileSync("chmod", ["0777", open]);
    const words = ["--reuid=65534", "--regid=65534", "--clear-groups", process.execPath, main];
    const { status, stdout } = spawnSync("setpriv", [
      ...words,
      "-c",
      gateway.config,
      "report",
      "-j",
      join(open, "r.tar.gz"),
    ]);
    const { parts } = manifestSchema.parse(JSON.parse(String(stdout)));
    const programs = parts.find(({ source }) => source.startsWith("xgw prog"));
    rmSync(open, { recursive: true });
    expect([status, programs?.exitCode]).toEqual([0, 4]);
    expect(parts.find(({ source }) => source === "uname -a")?.exitCode).toBe(0);
  }, 120_000);

  describe("a disk", () => {
    const small = join(folder, "small");
    beforeAll(() => {
      mkdirSync(small);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "none", small]);
    });
    afterAll(() => void execFileSync("umount", [small]));

    it("that is full leaves nothing there, and says so", () => {
      const { code, stderr } = gateway.xgw("report", join(small, "r.tar.gz"));
      expect([code, stderr, readdirSync(small)]).toEqual([1, expect.stringMatching(/ENOSPC.*there is room in/), []]);
    }, 120_000);

    it("is not wanted anywhere but where the report goes", () => {
      const archive = join(folder, "elsewhere.tar.gz");
      const words = [`TMPDIR=${small}`, process.execPath, main, "-c", gateway.config, "report", archive];
      writeFileSync(join(small, "filler"), Buffer.alloc(64 * 1024));
      expect([spawnSync("env", words).status, existsSync(archive)]).toEqual([0, true]);
    }, 120_000);
  });
});
