/**
 * The one answer that XDP is not held to. A packet that does not fit its way makes the kernel remember, for the destination
 * inside the tunnel, what would fit (`ip route get`: `mtu`, `expires`), and it goes on refusing larger packets when the way
 * has become wider, for ten minutes (`net.ipv4.route.mtu_expires`). XDP goes by the way as it is.
 */

import { layersOf, tunnelled } from "../frames/layers.js";
import type { Side } from "./flows.js";
import type { Twin } from "./twin.js";
import type { Departure, World } from "./world.js";

interface Route {
  readonly expires?: number;
  readonly metrics?: readonly { readonly mtu?: number }[];
}

/** @param left what the other gateway sends where the reference sends nothing, of an inner packet of this length */
export async function refusesByLearnedMtu(
  reference: Twin,
  world: World,
  sides: readonly Side[],
  [first]: readonly Departure[],
  length: number,
): Promise<boolean> {
  const outer = first && layersOf(first.frame).ip;
  const inner = outer && tunnelled(outer)?.ip;
  const tenant = sides.find(({ party }) => party.tenant !== undefined)?.party.tenant ?? 0;
  if (!inner) return false;
  const said = await reference.run("ip", "-j", "route", "get", inner.dst, "vrf", `xvrf${world.tenants[tenant]?.key}`);
  const [route] = JSON.parse(said) as Route[];
  const learned = route?.metrics?.find(({ mtu }) => mtu !== undefined)?.mtu;
  return route?.expires !== undefined && learned !== undefined && learned < length;
}
