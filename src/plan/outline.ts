/** A plan folded to what its steps are for: by tenant, and by the thing of the config. Pure, and linear in the steps. */

import { nobody, routeTableBase } from "../model/desired.js";
import { type Purpose, parts, purposeOf, type Sign, signOf } from "./purpose.js";
import { type State, tenantIds } from "./state.js";
import type { Step } from "./steps.js";
import { Whose } from "./whose.js";

/** Steps with one purpose. */
export interface OutlineItem extends Purpose {
  readonly sign: Sign;
  readonly steps: readonly Step[];
}

export interface TenantOutline {
  readonly name: string;
  readonly change: "new" | "changed" | "removed";
  readonly steps: number;
  /** In the order of `parts`. */
  readonly items: readonly OutlineItem[];
}

export interface Outline {
  readonly steps: number;
  /** The gateway's own steps, and those of what tenants share. */
  readonly shared: readonly Step[];
  /** In the order of their ids. */
  readonly tenants: readonly TenantOutline[];
}

interface Planned {
  readonly wanted: Pick<State, "devices" | "entries">;
  readonly observed: Pick<State, "devices" | "entries">;
  readonly steps: readonly Step[];
}

export function outlineOf({ wanted, observed, steps }: Planned): Outline {
  const whose = new Whose(observed, wanted);
  const shared: Step[] = [];
  const byTenant = new Map<number, Step[]>();
  for (const step of steps) {
    const tenant = whose.tenantOf(step);
    const list = tenant === nobody ? shared : byTenant.get(tenant);
    if (list) list.push(step);
    else byTenant.set(tenant, [step]);
  }
  const [now, before] = [wanted, observed].map(
    (state) => new Set([...tenantIds(state.entries.values()), ...ids(state)]),
  );
  const names = new Map([...namesIn(observed), ...namesIn(wanted)]);
  const changeOf = (id: number) => (!now?.has(id) ? "removed" : before?.has(id) ? "changed" : "new");
  const tenants = [...byTenant]
    .sort(([a], [b]) => a - b)
    .map(([id, own]): TenantOutline => {
      const change = changeOf(id);
      return { name: names.get(id) ?? `tenant ${id}`, change, steps: own.length, items: fold(own, change) };
    });
  return { steps: steps.length, shared, tenants };
}

function fold(steps: readonly Step[], change: TenantOutline["change"]): OutlineItem[] {
  const groups = new Map<string, { purpose: Purpose; steps: Step[] }>();
  for (const step of steps) {
    const purpose = purposeOf(step);
    const id = `${purpose.part} ${purpose.item}`;
    const group = groups.get(id);
    if (group) group.steps.push(step);
    else groups.set(id, { purpose, steps: [step] });
  }
  return [...groups.values()]
    .map(({ purpose, steps }) => ({
      ...purpose,
      sign: purpose.part === "flows" ? ">" : (wholeSign[change] ?? signOfAll(steps)),
      steps,
    }))
    .sort((a, b) => parts.indexOf(a.part) - parts.indexOf(b.part) || compareItems(a.item, b.item));
}

/** All of a tenant that comes or goes does so, with whatever steps. */
const wholeSign: { readonly [change in TenantOutline["change"]]?: Sign } = { new: "+", removed: "-" };

/** Rules by number, addresses as near to it as text is. */
const compareItems = (a: string, b: string) => Number(a) - Number(b) || (a < b ? -1 : a > b ? 1 : 0);

function signOfAll(steps: readonly Step[]): Sign {
  const signs = new Set(steps.map(signOf));
  return signs.size === 1 ? ([...signs][0] as Sign) : "~";
}

const ids = ({ devices }: Planned["wanted"]): number[] =>
  [...devices.values()].flatMap((device) => (device.kind === "vrf" ? [device.routeTable - routeTableBase] : []));

/** As the devices say: xgw/INSTANCE/TENANT. */
const namesIn = ({ devices }: Planned["wanted"]): [number, string][] =>
  [...devices.values()].flatMap((device): [number, string][] => {
    const name = device.owner.split("/")[2];
    return device.kind === "vrf" && name ? [[device.routeTable - routeTableBase, name]] : [];
  });
