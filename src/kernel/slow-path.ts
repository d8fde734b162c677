/** Steps of the slow path as iproute2 lines and nft scripts. Writing them down is pure; running them is one call each. */

import { crashPoint } from "../crash.js";
import { routeTableBase } from "../model/desired.js";
import { parseAddress } from "../model/ipv4.js";
import { groupOf, instanceOf, routeProtocol } from "../plan/owner.js";
import {
  familyOfSet,
  fenceSets,
  removalScript,
  rulesScript,
  sealOfRules,
  tableName,
  typesOfSet,
} from "../plan/rules.js";
import { devicesScript, intervalSets, mapOf, sealOfShare, shareOfFlowtable, shareScript } from "../plan/shares.js";
import {
  type Device,
  type Element,
  type Family,
  type Neighbour,
  type Route,
  type State,
  tenantOfElement,
} from "../plan/state.js";
import { type Step, type StepOf, stepsOf } from "../plan/steps.js";
import { isForwarding } from "../plan/sysctls.js";
import { batch } from "./ip.js";
import { applyScript } from "./nft.js";
import { hasWholeShare, readChains } from "./nftables.js";
import { families, putTenantsFirst } from "./routing-rules.js";
import { writeSysctl } from "./sysctl.js";

/**
 * What keeps tenants apart stands before a tunnel is up: nobody comes in, and nothing gets out, while the rest is made. Only
 * then does the machine forward at all: its default is not to, and without the rules it would between its sides.
 */
export async function addSlowPath(instance: string, steps: readonly Step[]): Promise<void> {
  const routes = stepsOf(steps, "route.set");
  const lasting = new Set<Step>(fencesOfLeaving(steps));
  const { fence, rest } = fencesFirst(steps.filter((step) => !lasting.has(step)));
  for (const { family } of stepsOf(steps, "rule-order.set")) await putTenantsFirst(family);
  await batch([...routeLines(routes.filter(({ route }) => leadsNowhere(route))), ...deviceLines(steps)]);
  const settings = stepsOf(steps, "sysctl.set");
  writeSettings(settings.filter(({ name }) => !isForwarding(name)));
  await changeRules(instance, fence);
  await batch([
    ...upLines(steps),
    ...addressLines(steps),
    ...neighbourLines(steps),
    ...routeLines(routes.filter(({ route }) => !leadsNowhere(route))),
  ]);
  await changeRules(instance, rest);
  writeSettings(settings.filter(({ name }) => isForwarding(name)));
}

async function changeRules(instance: string, steps: readonly Step[]): Promise<void> {
  await applyScript(nftScript(instance, steps, hasWholeShare, families()));
  await applyScript(sealScript(instance, steps));
}

/** Seals what the steps have made of rules, as the kernel has them now: see plan/seal.ts. */
export function sealScript(instance: string, steps: readonly Step[]): string {
  const table = tableName(instance);
  const shares = new Set(stepsOf(steps, "flowtable.add").map(({ flowtable }) => shareOfFlowtable(flowtable)));
  const made = [...shares].filter((share) => !hasWholeShare(table, share));
  const isNew = stepsOf(steps, "rules.set").length > 0;
  if (!isNew && made.length === 0) return "";
  const seals = families().flatMap((family) => {
    const nftFamily = family === "ipv4" ? "ip" : "ip6";
    const chains = readChains(table, nftFamily);
    if (chains.size === 0) return []; // gone again
    const ofRules = isNew ? [sealOfRules(nftFamily, chains)] : [];
    const ofShares = nftFamily === "ip" ? made.map((share) => sealOfShare(share, (name) => chains.get(name))) : [];
    return [...ofRules, ...ofShares].map((seal) => `add chain ${nftFamily} ${table} ${seal}\n`);
  });
  return seals.join("");
}

function writeSettings(steps: readonly StepOf<"sysctl.set">[]): void {
  for (const { name, value } of steps) {
    writeSysctl(name, value);
    crashPoint(`sysctl ${name}`);
  }
}

/**
 * Rules that are made take all elements with them, in one transaction. Of other changes only what is new and says who may
 * come in, and what may leave: the rest has to follow the routes. Where no tunnel comes up, nothing has to be first.
 */
function fencesFirst(steps: readonly Step[]): { fence: readonly Step[]; rest: readonly Step[] } {
  if (upLines(steps).length === 0) return { fence: [], rest: steps };
  if (stepsOf(steps, "rules.set").length > 0) return { fence: steps, rest: [] };
  const isFence = (step: Step) => step.kind === "element.set" && !step.was && fenceSets.includes(step.element.set);
  return { fence: steps.filter(isFence), rest: steps.filter((step) => !isFence(step)) };
}

/** What says who may come in by the tunnels that go, and what may leave: it stands as long as they are there. */
function fencesOfLeaving(steps: readonly Step[]): StepOf<"element.delete">[] {
  const leaving = new Set(
    stepsOf(steps, "device.delete").flatMap(({ device }) =>
      device.kind === "vrf" ? [device.routeTable - routeTableBase] : [],
    ),
  );
  return stepsOf(steps, "element.delete").filter(
    ({ element }) => fenceSets.includes(element.set) && leaving.has(tenantOfElement(element)),
  );
}

const leadsNowhere = ({ tunnel, uplink }: Route) => !tunnel && !uplink;

/**
 * Without those that lead nowhere, at which a look-up in a tenant's table ends: see `removeFences`.
 *
 * @param staying what there is to be afterwards
 */
export async function removeRoutes(
  steps: readonly Step[],
  staying?: Pick<State, "addresses" | "neighbours" | "routes">,
): Promise<void> {
  const routes = stepsOf(steps, "route.delete").filter(({ route }) => !leadsNowhere(route));
  await batch([
    ...routes.map(({ route }) => `route del ${routeSelector(route)}`),
    ...stepsOf(steps, "neighbour.delete").map(
      ({ neighbour: { device, endpoint } }) => `neigh del ${endpoint} dev ${device}`,
    ),
    ...stepsOf(steps, "address.delete").map(({ address }) => `addr del ${address.address} dev ${address.device}`),
    ...(staying ? takenAlong(steps, staying) : []),
  ]);
}

/** With a device's last address, the kernel takes its routes and neighbours (fib_disable_ip, arp_ifdown). */
function takenAlong(
  steps: readonly Step[],
  { addresses, neighbours, routes }: Pick<State, "addresses" | "neighbours" | "routes">,
): string[] {
  const emptied = new Set(stepsOf(steps, "address.delete").map(({ address }) => address.device));
  if (emptied.size === 0) return [];
  for (const { device } of addresses.values()) emptied.delete(device);
  const again: Step[] = [];
  for (const neighbour of neighbours.values())
    if (emptied.has(neighbour.device)) again.push({ kind: "neighbour.set", neighbour });
  for (const route of routes.values())
    if (emptied.has(route.tunnel?.device ?? "")) again.push({ kind: "route.set", route, was: undefined });
  return [...neighbourLines(again), ...routeLines(again)];
}

/** What keeps tenants apart stands until the devices of those that go are no more. */
export async function removeFences(instance: string, steps: readonly Step[]): Promise<void> {
  const routes = stepsOf(steps, "route.delete").filter(({ route }) => leadsNowhere(route));
  await batch(routes.map(({ route }) => `route del ${routeSelector(route)}`));
  await applyScript(nftScript(instance, fencesOfLeaving(steps)));
}

export async function removeRules(instance: string): Promise<void> {
  await applyScript(removalScript(instance, families()));
}

/** Tunnels before the VRFs that they are in. */
export async function removeDevices(names: readonly string[]): Promise<void> {
  const tunnelsFirst = [...names].sort((a, b) => Number(a.startsWith("xvrf")) - Number(b.startsWith("xvrf")));
  await batch(tunnelsFirst.map((name) => `link del dev ${name}`));
}

/** VRFs before the tunnels that go into them, which are not up yet. */
export function deviceLines(steps: readonly Step[]): string[] {
  const replaced = stepsOf(steps, "device.replace");
  const added = [...stepsOf(steps, "device.add"), ...replaced];
  const vrfsFirst = [...added].sort((a, b) => Number(b.device.kind === "vrf") - Number(a.device.kind === "vrf"));
  return [
    ...replaced.map(({ name }) => `link del dev ${name}`),
    ...vrfsFirst.flatMap(({ name, device }) => [addDevice(name, device), ...setDevice(name, device)]),
    ...stepsOf(steps, "device.set").flatMap(({ name, device }) => setDevice(name, device)),
  ];
}

/** With the mark of whose it is that a device can be made with. */
function addDevice(name: string, device: Device): string {
  const added = `link add name ${name} group ${groupOfOwner(device)}`;
  if (device.kind === "vrf") return `${added} type vrf table ${device.routeTable}`;
  const address = device.kind === "gretap" ? ` address ${macOf(device.key)}` : "";
  return `${added}${address} type ${device.kind} local ${device.local} key ${device.key} ttl 64`;
}

const groupOfOwner = ({ owner }: Device) => groupOf(instanceOf(owner) ?? "");

/**
 * The same whenever the device is made: its tenant's hosts have it in their ARP caches, and bpf/lib/uplink.h sends to it.
 * Locally administered.
 */
function macOf(key: number): string {
  return `02:67:${key
    .toString(16)
    .padStart(8, "0")
    .replace(/..(?!$)/g, "$&:")}`;
}

function setDevice(name: string, device: Device): string[] {
  const alias = `link set dev ${name} alias ${device.owner} group ${groupOfOwner(device)}`;
  if (device.kind === "vrf") return [alias, `link set dev ${name} up`];
  return [
    alias,
    `link set dev ${name} addrgenmode none`,
    `link set dev ${name} master ${device.vrf}`,
    `link set dev ${name} mtu ${device.mtu}`,
  ];
}

const upLines = (steps: readonly Step[]): string[] =>
  [...stepsOf(steps, "device.add"), ...stepsOf(steps, "device.replace"), ...stepsOf(steps, "device.set")]
    .filter(({ device }) => device.kind !== "vrf")
    .map(({ name }) => `link set dev ${name} up`);

/** Without a prefix route: where the tenant's prefixes live is said by its routes alone. */
function addressLines(steps: readonly Step[]): string[] {
  return stepsOf(steps, "address.add").map(
    ({ address }) => `addr replace ${address.address} dev ${address.device} noprefixroute`,
  );
}

/** Changes nothing, but the programs that count neighbours hear of these, which were there before them and never change. */
export const tellOfNeighbours = (neighbours: Iterable<Neighbour>): Promise<void> =>
  batch(neighbourLines(Array.from(neighbours, (neighbour) => ({ kind: "neighbour.set", neighbour }))));

function neighbourLines(steps: readonly Step[]): string[] {
  return stepsOf(steps, "neighbour.set").map(
    ({ neighbour: { device, endpoint } }) => `neigh replace ${endpoint} lladdr ${endpoint} dev ${device} nud permanent`,
  );
}

function routeLines(steps: readonly Step[]): string[] {
  return stepsOf(steps, "route.set").map(({ route }) => {
    if (route.uplink)
      return `route replace ${routeSelector(route)} via ${route.uplink.via} dev ${route.uplink.device} onlink`;
    if (!route.tunnel) return `route replace unreachable ${routeSelector(route)}`;
    const { device, key, via } = route.tunnel;
    if (key === null) return `route replace ${routeSelector(route)} via ${via} dev ${device} onlink`;
    return `route replace ${routeSelector(route)} encap ip id ${key} dst ${via} key dev ${device} scope link`;
  });
}

function routeSelector({ family, to, routeTable, metric }: Route): string {
  const prefix = family === "ipv6" ? "::/0" : to; // which says the family, too
  return `${prefix} table ${routeTable} proto ${routeProtocol}${metric ? ` metric ${metric}` : ""}`;
}

/**
 * Rules, flowtable devices and elements in one transaction: the kernel takes all of it or nothing.
 *
 * @param isWhole whether the table has all of a share
 * @param ofFamilies those that the kernel has; all when not given
 */
export function nftScript(
  instance: string,
  steps: readonly Step[],
  isWhole: (table: string, share: number) => boolean = () => false,
  ofFamilies?: readonly Family[],
): string {
  const rules = stepsOf(steps, "rules.set").map(() => rulesScript(instance, ofFamilies));
  const changes = stepsOf(steps, "element.set");
  const old = [
    ...stepsOf(steps, "element.delete").map(({ element }) => element),
    ...changes.flatMap(({ was }) => (was ? [was] : [])),
  ];
  return [
    ...rules,
    ...flowtableScript(tableName(instance), steps, rules.length > 0 ? () => false : isWhole),
    ...elementLines(instance, "delete", old, keyText),
    ...elementLines(
      instance,
      "add",
      changes.map(({ element }) => element),
      (element) => `${keyText(element)}${element.value === "" ? "" : ` : ${element.value}`}`,
    ),
  ].join("");
}

/** Of one map in a command: nft takes its time for each command, and quotes the whole of one that fails. */
const elementsAtOnce = 64;

function elementLines(
  instance: string,
  verb: "add" | "delete",
  elements: readonly Element[],
  text: (element: Element) => string,
): string[] {
  const byMap = new Map<string, string[]>();
  for (const element of elements) {
    const map = mapOf(element.set, element.key);
    const texts = byMap.get(map);
    if (texts) texts.push(text(element));
    else byMap.set(map, [text(element)]);
  }
  return [...byMap].flatMap(([map, texts]) =>
    chunks(texts).map(
      (some) => `${verb} element ${familyOfSet(map)} ${tableName(instance)} ${map} { ${some.join(", ")} }\n`,
    ),
  );
}

const chunks = (texts: readonly string[]) =>
  Array.from({ length: Math.ceil(texts.length / elementsAtOnce) }, (_, at) =>
    texts.slice(at * elementsAtOnce, (at + 1) * elementsAtOnce),
  );

/** Also makes what is not there of the devices' shares. */
function flowtableScript(
  table: string,
  steps: readonly Step[],
  isWhole: (table: string, share: number) => boolean,
): string[] {
  const shares = (kind: "flowtable.delete" | "flowtable.add") => [...devicesByShare(stepsOf(steps, kind))];
  return [
    ...shares("flowtable.delete").map(([share, names]) => devicesScript("delete", `ip ${table}`, share, names)),
    ...shares("flowtable.add").map(([share, names]) =>
      isWhole(table, share)
        ? devicesScript("add", `ip ${table}`, share, names)
        : shareScript(`ip ${table}`, share, names),
    ),
  ];
}

function devicesByShare(steps: readonly { readonly flowtable: string; readonly device: string }[]) {
  const shares = new Map<number, string[]>();
  for (const { flowtable, device } of steps) {
    const share = shareOfFlowtable(flowtable);
    shares.set(share, [...(shares.get(share) ?? []), device]);
  }
  return shares;
}

/**
 * nft (1.0.6 at least) does not find an element of an interval map to delete when no part of its key is a range, so the
 * last part, a port or an address, always is one. Names of devices may be words of nft's. Raw bytes are a number to it.
 */
function keyText({ set, key }: Element): string {
  if (intervalSets.includes(set)) return key.replace(/ ([\d.]+)$/, " $1-$1");
  const types = typesOfSet(set)?.key ?? [];
  return key
    .split(" . ")
    .map((part, at) => {
      const type = types[at] ?? "";
      if (/^[io]ifname$/.test(type)) return `"${part}"`;
      return type.startsWith("@") ? String(parseAddress(part) ?? part) : part;
    })
    .join(" . ");
}
