// A run that is killed anywhere in an upgrade or a downgrade of the data path is ended by the next one. The whole gateway is
// killed by `npm run test:crash`.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BpfError, BpfObject, inNetNamespace } from "libbpf-ts";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeOtherVersion } from "../../vm/other-version.js";
import { datapathModules } from "./support/built.js";
import { makeNamespace } from "./support/kernel.js";

/** Points between two that are tried; XGW_CRASH_EVERY=1 tries all. */
const every = Number(process.env.XGW_CRASH_EVERY ?? 37);

/** The count of sessions needs it, and not every kernel that has BTF takes such programs: all the rest is tested there, too. */
function takesFentry(): boolean {
  using object = BpfObject.open(fileURLToPath(new URL("../../dist/bpf/sessions.bpf.o", import.meta.url)));
  try {
    object.load();
    return true;
  } catch (error) {
    if (error instanceof BpfError && error.code === "EPERM") return false;
    throw error;
  }
}

const countsSessions = String(takesFentry());
const namespace = makeNamespace();
const runner = fileURLToPath(new URL("support/run-change.mjs", import.meta.url));
const instance = `c${process.pid}`;
const pins = new datapathModules.pins.Pins(instance);
const folder = mkdtempSync(join(tmpdir(), "xgw-crash-"));
const head = `apiVersion: xgw/v1\ninstance: ${instance}\nunderlay: { device: v0, address: 172.168.0.1 }\n`;
let versions: readonly { readonly root: string; readonly configFile: string }[];

beforeAll(async () => {
  const files = [4096, 8192].map((flows) => {
    const file = join(folder, `${flows}.yaml`);
    writeFileSync(file, `${head}flows: ${flows}\n`);
    return file;
  });
  const here = fileURLToPath(new URL("../../dist", import.meta.url));
  versions = [
    { root: here, configFile: files[0] ?? "" },
    { root: await makeOtherVersion(), configFile: files[1] ?? "" },
  ];
});

afterAll(() => {
  inNetNamespace(namespace.path, () => {
    for (const name of pins.links()) datapathModules.attachments.detach(pins, name);
  });
  pins.removeAll();
  rmSync(folder, { recursive: true });
});

interface Change {
  readonly done: readonly string[];
  readonly left: readonly string[];
  readonly points: readonly string[];
}

function change(n: number, point?: number): Change | "killed" {
  const { root, configFile } = versions[n] ?? { root: "", configFile: "" };
  const args = [`--net=${namespace.path}`, "--", process.execPath, runner, root, configFile, countsSessions];
  const { signal, status, stdout, stderr } = spawnSync("nsenter", point === undefined ? args : [...args, `${point}`], {
    encoding: "utf8",
  });
  if (signal === "SIGKILL" || status === 137) return "killed";
  if (status !== 0) throw new Error(`point ${point}: ${stderr}`);
  return JSON.parse(stdout) as Change;
}

it("converges from every point of an upgrade and of the way back", { timeout: 1_200_000 }, () => {
  const first = change(0);
  expect(first).toMatchObject({ left: [] });
  const tried: string[] = [];
  for (let point = 3; ; point += every) {
    const killed = [1, 0].map((version) => {
      const result = change(version, point);
      const next = change(version);
      expect(next, `version ${version} after a death at point ${point}`).toMatchObject({ left: [] });
      expect(change(version), `version ${version} once more`).toMatchObject({ done: [], left: [] });
      expect([pins.nextMaps(), pins.fingerprints().length]).toEqual([[], 1]);
      tried.push(`${version}:${point} ${result === "killed" ? "killed" : "done"}`);
      return result === "killed";
    });
    if (!killed.includes(true)) break;
  }
  process.stderr.write(`${tried.join(", ")}\n`);
  expect(tried.length).toBeGreaterThan(4);
});

it("keeps a program in netfilter wherever an upgrade dies that puts another in its place", { timeout: 600_000 }, () => {
  expect(change(0)).toMatchObject({ left: [] });
  // A link that is not pinned goes with the run.
  const kept = () => pins.links().filter((name) => name.startsWith("quota_forward"));
  const { points } = change(1, 1_000_000) as Change;
  const about = points.flatMap((point, at) => (/ quota_forward(_next)?$/.test(point) ? [at] : []));
  expect(about.length).toBeGreaterThan(2);
  for (const point of about) {
    change(0);
    expect([change(1, point), kept().length > 0], points[point]).toEqual(["killed", true]);
    expect([change(1), kept()], points[point]).toEqual([expect.objectContaining({ left: [] }), ["quota_forward"]]);
  }
});

// A teardown removes programs first, then maps by their names: between those that belong together, one is left alone.
it.each(["encaps", "encaps_taken", "flow_locks", "flows", "generations", "rules"])(
  "converges from a teardown that died when the maps up to %s were gone",
  (last) => {
    expect(change(0)).toMatchObject({ left: [] });
    inNetNamespace(namespace.path, () => {
      for (const name of pins.links()) datapathModules.attachments.detach(pins, name);
    });
    for (const fingerprint of pins.fingerprints()) pins.removeDatapath(fingerprint);
    for (const name of pins.maps()) if (name <= last) rmSync(pins.oldMap(name));
    expect(change(0), "the next run").toMatchObject({ left: [] });
    expect([change(0), pins.nextMaps()], "once more").toEqual([expect.objectContaining({ done: [], left: [] }), []]);
  },
);
