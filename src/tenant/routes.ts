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

/** @param tenant and `uplink` of the config, as far as it can be read */
export function readTenantRoutes(
  id: number,
  tenant: ConfigTenant | undefined,
  uplink: Config["uplink"] | undefined,
): TenantReport["routes"] {
  const inKernel = readRoutes({ get: kernelNames.nameOf }, routeProtocol, routeTableBase + id);
  const found = inKernel.filter(({ type, family }) => type === toHost && family === undefined).map(toRoute);
  return beside(tenant && wantedRoutes(tenant, uplink), found, ({ to, via }) => `${to} ${via}`);
}

const wantedRoutes = (tenant: ConfigTenant, uplink: Config["uplink"] | undefined): Route[] => [
  ...tenant.routes.map(({ to, via }) => ({ to: to === "0.0.0.0/0" ? "default" : to, via })),
  ...(uplink ? [{ to: "default", via: uplink.gateway }] : []),
];

const toRoute = ({ to, gateway, encap, device }: KernelRoute): Route => ({
  to: to.length === 0 ? "default" : formatPrefix(to),
  via: encap?.remote ?? gateway ?? "0.0.0.0",
  ...(device === undefined ? {} : { device }),
});
