/** Configs that change at random, one edit at a time. What they ask for is odd, but right: a mistake is no subject here. */

export type Random = () => number;

/** Mulberry32: the same numbers for the same seed. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Rule {
  readonly allow?: string;
  readonly deny?: string;
  readonly ports?: readonly (number | string)[];
  readonly from?: string;
}

interface Tenant {
  name: string;
  readonly key: number;
  tunnel: "gretap" | "gre";
  addresses: string[];
  routes: { to: string; via: string }[];
  publicIps: { address: string; to: string }[];
  portForwards: { address: string; protocol: "tcp" | "udp"; port: number; to: string; toPort: number }[];
  policy: { inbound: Rule[]; established: "keep" | "drop" };
  limits: { sessions?: number };
}

export interface RandomConfig {
  readonly apiVersion: "xgw/v1";
  readonly instance: string;
  readonly underlay: { readonly device: string; readonly address: string };
  nics: { name: string; xdp: "native" | "generic" }[];
  flows: number;
  tenants: Tenant[];
}

export const emptyConfig = (): RandomConfig => ({
  apiVersion: "xgw/v1",
  instance: "walk",
  underlay: { device: "eth0", address: "172.168.0.1" },
  nics: [{ name: "eth0", xdp: "native" }],
  flows: 4096,
  tenants: [],
});

const maxTenants = 8;
const maxOfAKind = 5;

/** What was done, in words. The config is changed in place. */
export function edit(config: RandomConfig, random: Random): string {
  const whole = number(random, 0, 99);
  if (config.tenants.length === 0 || (whole < 14 && config.tenants.length < maxTenants))
    return addTenant(config, random);
  if (whole < 22) return removeTenant(config, random);
  if (whole < 27) return changeNic(config);
  if (whole < 30) return changeSize(config, random);
  const tenant = pick(config.tenants, random);
  return `${tenant.name}: ${pick(tenantEdits, random)(tenant, random)}`;
}

const tenantEdits: readonly ((tenant: Tenant, random: Random) => string)[] = [
  (tenant, random) => {
    const to = `10.0.${number(random, 0, 9)}.0/24`;
    if (tenant.routes.some((route) => route.to === to)) {
      dropRoute(tenant, to);
      return `route ${to} goes`;
    }
    if (tenant.routes.length >= maxOfAKind) dropRoute(tenant, tenant.routes[0]?.to ?? "");
    tenant.routes.push({ to, via: endpoint(random) });
    return `route ${to} comes`;
  },
  (tenant, random) => {
    if (tenant.routes.length === 0) return "nothing";
    const route = pick(tenant.routes, random);
    route.via = endpoint(random);
    return `route ${route.to} via ${route.via}`;
  },
  (tenant, random) => {
    const to = host(tenant, random);
    const address = `2.${number(random, 0, 3)}.${tenant.key % 256}.${number(random, 1, 9)}`;
    const same = tenant.publicIps.findIndex((ip) => ip.to === to || ip.address === address);
    if (same >= 0) return `public IP ${tenant.publicIps.splice(same, 1)[0]?.address} goes`;
    if (to === undefined || tenant.portForwards.some((forward) => forward.address === address)) return "nothing";
    tenant.publicIps.push({ address, to });
    return `public IP ${address} comes`;
  },
  (tenant, random) => {
    const to = host(tenant, random);
    const address = `3.${number(random, 0, 1)}.${tenant.key % 256}.1`;
    const protocol = pick(["tcp", "udp"] as const, random);
    const port = number(random, 80, 83);
    const same = tenant.portForwards.findIndex(
      (forward) => forward.address === address && forward.port === port && forward.protocol === protocol,
    );
    if (same >= 0) {
      tenant.portForwards.splice(same, 1);
      return "port forward goes";
    }
    if (to === undefined) return "nothing";
    tenant.portForwards.push({ address, protocol, port, to, toPort: number(random, 8080, 8083) });
    return "port forward comes";
  },
  (tenant, random) => {
    tenant.policy = { inbound: rules(random), established: pick(["keep", "drop"] as const, random) };
    return `policy of ${tenant.policy.inbound.length} rules`;
  },
  (tenant) => {
    tenant.tunnel = tenant.tunnel === "gre" ? "gretap" : "gre";
    return `tunnel is ${tenant.tunnel}`;
  },
  (tenant, random) => {
    tenant.addresses = Array.from({ length: number(random, 0, 2) }, (_, n) => `10.0.${n}.${number(random, 1, 3)}/24`);
    return `addresses ${tenant.addresses.join(" ")}`;
  },
  (tenant, random) => {
    tenant.name = `t${tenant.key}-${number(random, 0, 999)}`;
    return "is renamed";
  },
  (tenant, random) => {
    tenant.limits = random() < 0.5 ? {} : { sessions: number(random, 1, 1000) };
    return "limits";
  },
];

/** Public addresses must lead to where there is a route. */
function dropRoute(tenant: Tenant, to: string): void {
  tenant.routes = tenant.routes.filter((route) => route.to !== to);
  const prefix = to.slice(0, to.lastIndexOf(".") + 1);
  tenant.publicIps = tenant.publicIps.filter((ip) => !ip.to.startsWith(prefix));
  tenant.portForwards = tenant.portForwards.filter((forward) => !forward.to.startsWith(prefix));
}

function host(tenant: Tenant, random: Random): string | undefined {
  if (tenant.routes.length === 0) return undefined;
  const { to } = pick(tenant.routes, random);
  return `${to.slice(0, to.lastIndexOf(".") + 1)}${number(random, 5, 9)}`;
}

function rules(random: Random): Rule[] {
  return Array.from({ length: number(random, 0, 4) }, () => {
    const verdict = pick(["allow", "deny"] as const, random);
    const protocol = pick(["tcp", "udp", "icmp", "any"], random);
    const first = number(random, 1, 2000);
    const ports = protocol === "tcp" || protocol === "udp" ? { ports: [first, `${first + 5}-${first + 90}`] } : {};
    const from = random() < 0.5 ? {} : { from: `${number(random, 1, 3)}.0.0.0/8` };
    return { [verdict]: protocol, ...ports, ...from };
  });
}

function addTenant(config: RandomConfig, random: Random): string {
  const free = Array.from({ length: 30 }, (_, n) => 100 + n).filter(
    (key) => !config.tenants.some((t) => t.key === key),
  );
  const key = pick(free, random);
  const tenant: Tenant = {
    name: `t${key}`,
    key,
    tunnel: pick(["gretap", "gre"] as const, random),
    addresses: [],
    routes: [],
    publicIps: [],
    portForwards: [],
    policy: { inbound: [], established: "drop" },
    limits: {},
  };
  for (let n = number(random, 0, 6); n > 0; n--) pick(tenantEdits.slice(0, 5), random)(tenant, random);
  config.tenants.push(tenant);
  return `${tenant.name} comes`;
}

function removeTenant(config: RandomConfig, random: Random): string {
  const [tenant] = config.tenants.splice(number(random, 0, config.tenants.length - 1), 1);
  return `${tenant?.name} goes`;
}

function changeNic(config: RandomConfig): string {
  const xdp = config.nics[0]?.xdp === "native" ? "generic" : "native";
  config.nics = [{ name: "eth0", xdp }];
  return `XDP is ${xdp}`;
}

function changeSize(config: RandomConfig, random: Random): string {
  config.flows = pick([2048, 4096, 8192, 16_384], random);
  return `flows ${config.flows}`;
}

const endpoint = (random: Random) => `172.168.0.${number(random, 7, 19)}`;

/** From `from` to `to`, both included. */
export function number(random: Random, from: number, to: number): number {
  return from + Math.floor(random() * (to - from + 1));
}

export function pick<T>(items: readonly T[], random: Random): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}
