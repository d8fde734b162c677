/** The names that there are now. What cannot be seen, for want of a privilege, say, has none: a shell is told of no errors. */

import { statSync } from "node:fs";
import type { NameKind } from "../command.js";
import type { Candidate, Completion } from "./line.js";

type Context = Pick<Completion, "configFile" | "instance" | "tenant">;

const finders: Readonly<Record<Exclude<NameKind, "files">, (context: Context) => Promise<Candidate[]>>> = {
  tenants: tenantNames,
  instances: instanceNames,
  devices: deviceNames,
  rules: ruleNames,
  maps: (context) => pinNames(context, (pins) => [...pins.maps(), ...pins.nextMaps()]),
  programs: (context) => pinNames(context, (pins) => pins.fingerprints().flatMap((one) => pins.programs(one))),
  attachments: (context) => pinNames(context, (pins) => pins.links()),
};

export async function findNames(kind: Exclude<NameKind, "files">, context: Context): Promise<Candidate[]> {
  try {
    return await finders[kind](context);
  } catch {
    return [];
  }
}

const asCandidates = (names: Iterable<string>): Candidate[] => [...new Set(names)].sort().map((word) => ({ word }));

/** By the devices' aliases, which everybody may read. */
async function ownedDevices(): Promise<{ readonly instance: string; readonly tenant: string }[]> {
  const { readLinks } = await import("../../kernel/rtnetlink.js");
  const { instanceOf, ownerOf } = await import("../../plan/owner.js");
  return readLinks().flatMap(({ alias = "" }) => {
    const instance = instanceOf(alias);
    return instance === undefined ? [] : [{ instance, tenant: alias.slice(ownerOf(instance, "").length) }];
  });
}

async function tenantNames({ instance }: Context): Promise<Candidate[]> {
  const owned = (await ownedDevices()).filter((one) => instance === undefined || one.instance === instance);
  return asCandidates(owned.map(({ tenant }) => tenant).filter((tenant) => tenant !== ""));
}

async function instanceNames(): Promise<Candidate[]> {
  const { instances } = await import("../../datapath/pins.js");
  return asCandidates([...(await ownedDevices()).map(({ instance }) => instance), ...instances()]);
}

async function deviceNames(): Promise<Candidate[]> {
  const { readLinks } = await import("../../kernel/rtnetlink.js");
  return asCandidates(readLinks().map(({ name }) => name));
}

type Pins = import("../../datapath/pins.js").Pins;

/** Of all instances, unless one is named. */
async function pinNames({ instance }: Context, of: (pins: Pins) => string[]): Promise<Candidate[]> {
  const { instances, Pins } = await import("../../datapath/pins.js");
  return asCandidates((instance === undefined ? instances() : [instance]).flatMap((name) => of(new Pins(name))));
}

/** A larger config takes longer to read than somebody waits who has pressed a key. */
const configBytesMax = 100_000;

/** The tenant's, in the words of the config; without a tenant the numbers that there are. */
async function ruleNames({ configFile, tenant }: Context): Promise<Candidate[]> {
  const none = { word: "none", meaning: "what no rule had to admit" };
  const sides = ["inbound", "outbound"] as const;
  if (tenant === undefined || statSync(configFile).size > configBytesMax)
    return [...sides.map((side) => ({ word: `${side}:0` })), none];
  const { loadConfig } = await import("../../config/load.js");
  const { describeRule } = await import("../../model/rule-name.js");
  const { config } = await loadConfig(configFile);
  const found = config.tenants.find(({ name, key }) => name === tenant || String(key) === tenant);
  const rules = sides.flatMap((side) =>
    (found?.policy[side] ?? []).map((rule, number) => ({
      word: `${side}:${number}`,
      meaning: describeRule(rule, side),
    })),
  );
  return [...rules, none];
}
