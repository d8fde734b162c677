/** A tenant's routes: what its table has, beside what the config wants. */

import type { Config, ConfigTenant } from "../config/schema.js";
import { kernelNames } from "../datapath/entries.js";
import { type KernelRoute, readRoutes } from "../kernel/rtnetlink.js";
import { routeTableBase } from "../model/desired.js";
import { formatPrefix } from "../model/ipv4.js";
import { routeProtocol } from "../plan/owner.js";
import { beside } from "./beside.js";
import type { TenantReport } from "./schema.js";

type Route = Pick<TenantReport["routes"][number], "to" | "via" | "device">;

/** RTN_UNICAST (linux/rtnetlink.h): others end a look-up. */
const toHost = 1;

/** @param wanted by the config, if it can be read */
export function readTenantRoutes(id: number, wanted: readonly Route[] | undefined): TenantReport["routes"] {
  const inKernel = readRoutes({ get: kernelNames.nameOf }, routeProtocol, routeTableBase + id);
  const found = inKernel.filter(({ type, family }) => type === toHost && family === undefined).map(toRoute);
  return beside(wanted, found, ({ to, via }) => `${to} ${via}`);
}

export const wantedRoutes = (tenant: ConfigTenant, { uplink }: Config): Route[] => [
  ...tenant.routes.map(({ to, via }) => ({ to: to === "0.0.0.0/0" ? "default" : to, via })),
  ...(uplink ? [{ to: "default", via: uplink.gateway }] : []),
];

const toRoute = ({ to, gateway, encap, device }: KernelRoute): Route => ({
  to: to.length === 0 ? "default" : formatPrefix(to),
  via: encap?.remote ?? gateway ?? "0.0.0.0",
  ...(device === undefined ? {} : { device }),
});
