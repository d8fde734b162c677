/** Desired states of small configs, and what is observed when the kernel has exactly what was rendered. */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadConfig } from "../../../src/config/load.js";
import { buildDesired } from "../../../src/model/build.js";
import type { Desired } from "../../../src/model/desired.js";
import { idsInUse } from "../../../src/observe/slow-path.js";
import { describeStep } from "../../../src/plan/describe.js";
import { diff } from "../../../src/plan/diff.js";
import { type RenderContext, render } from "../../../src/plan/render.js";
import type { Device, State } from "../../../src/plan/state.js";
import type { Step } from "../../../src/plan/steps.js";

export const context: RenderContext = {
  underlayMtu: 1500,
  underlayDevices: ["eth0"],
  timeouts: { tcpTimeoutMs: 432_000_000, udpTimeoutMs: 120_000, tcpTimeoutTicks: 108_000_000, udpTimeoutTicks: 30_000 },
  families: ["ipv4", "ipv6"],
  fingerprint: "f00df00df00d",
};

export const nothing: State = {
  sysctls: new Map(),
  tagOffloads: new Map(),
  devices: new Map(),
  ifindexes: new Map(),
  addresses: new Map(),
  neighbours: new Map(),
  routes: new Map(),
  ruleOrder: new Map(),
  rules: "",
  flowtableDevices: new Map(),
  elements: new Map(),
  keepsConnections: new Set(),
  datapaths: new Set(),
  unpinnedMaps: new Set(),
  moving: new Map(),
  entries: new Map(),
  unsettled: new Set(),
  attachments: new Map(),
};

/** The example with the two tenants, changed as text. */
export async function exampleText(...changes: readonly (readonly [from: string, to: string])[]): Promise<string> {
  const file = fileURLToPath(new URL("../../../examples/two-tenants.yaml", import.meta.url));
  let text = await readFile(file, "utf8");
  for (const [from, to] of changes) {
    if (!text.includes(from)) throw new Error(`the example does not have ${JSON.stringify(from)}`);
    text = text.replace(from, to);
  }
  return text;
}

/** @param observed what ids are kept from */
export async function desiredOf(text: string, observed: State = nothing): Promise<Desired> {
  const folder = await mkdtemp(join(tmpdir(), "xgw-plan-"));
  try {
    await writeFile(join(folder, "xgw.yaml"), text);
    const { config } = await loadConfig(join(folder, "xgw.yaml"));
    return buildDesired(config, idsInUse(observed.devices));
  } finally {
    await rm(folder, { recursive: true });
  }
}

export async function stateOf(text: string, observed: State = nothing): Promise<State> {
  return render(await desiredOf(text, observed), context);
}

/** The steps from a gateway that is in step with one text to the other. */
export async function stepsBetween(from: string, to: string): Promise<Step[]> {
  const observed = inKernel(await stateOf(from));
  return diff(await stateOf(to, observed), observed);
}

/** The same as it is observed: devices have ifindexes, from 10 on. */
export function inKernel(state: State): State {
  return { ...state, ifindexes: new Map(Array.from(state.devices.keys(), (name, at) => [name, 10 + at])) };
}

/** The same with one device changed, as if by somebody else. */
export function withDevice(state: State, name: string, change: Readonly<Record<string, unknown>>): State {
  const device = { ...state.devices.get(name), ...change } as Device;
  return { ...state, devices: new Map(state.devices).set(name, device) };
}

export const described = (steps: readonly Step[]) => steps.map(describeStep);

/** A third tenant, to be put behind the others. */
export const thirdTenant = `
  - name: user3
    key: 3000
    tunnel: gre
    addresses: [10.0.0.1/24]
    routes:
      - { to: 10.0.0.8/32, via: 172.168.0.13 }
    portForwards:
      - { address: 2.2.2.13, protocol: tcp, port: 80, to: 10.0.0.8, toPort: 8080 }
    policy:
      inbound:
        - { allow: tcp, ports: [8080] }
`;
