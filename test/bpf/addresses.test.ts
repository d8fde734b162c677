// What the kernel makes of the settings of a tunnel when its addresses change: the routes over it must stay.
import { beforeEach, expect, it } from "vitest";
import { sysctlsOf } from "../../src/plan/sysctls.js";
import { makeNamespace } from "./support/kernel.js";

const namespace = makeNamespace();
const tunnel = { kind: "gre", key: 1, local: "192.0.2.1", vrf: "", mtu: 1400, owner: "" } as const;
const route = "192.0.2.0/24";

beforeEach(() => {
  namespace.ip("addr", "flush", "dev", "v0");
  for (const [name, value] of sysctlsOf([["v0", tunnel]])) namespace.exec("sysctl", "-qw", `${name}=${value}`);
  namespace.ip("addr", "add", "10.0.0.1/24", "dev", "v0", "noprefixroute");
  namespace.ip("route", "replace", route, "dev", "v0");
});

const addresses = () =>
  [...namespace.exec("ip", "-4", "addr", "show", "dev", "v0").matchAll(/inet (\S+)/g)].map(([, it]) => it);
const routes = () => namespace.exec("ip", "-4", "route", "show", "dev", "v0").trim();

it("an address that comes for another of the same network outlives it, and the routes both", () => {
  namespace.ip("addr", "add", "10.0.0.3/24", "dev", "v0", "noprefixroute");
  namespace.ip("addr", "del", "10.0.0.1/24", "dev", "v0");
  expect([addresses(), routes()]).toEqual([["10.0.0.3/24"], `${route} scope link`]);
});
