// Devices, addresses, routes and neighbours as a real kernel tells of them, against what made them.
import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import {
  linkNames,
  readAddresses,
  readLinks,
  readLinksOf,
  readNeighbours,
  readRoutes,
} from "../../src/kernel/rtnetlink.js";
import { netNamespace } from "../native/support/kernel.js";

/** A namespace with v0 and v1, after these commands. */
function scene(...commands: string[]) {
  const { name, inside, ifindex } = netNamespace();
  for (const command of commands) execFileSync("ip", ["-n", name, ...command.split(" ")]);
  return inside(() => {
    const links = readLinks();
    const names = linkNames(links);
    return {
      ifindex,
      links: new Map(links.map((link) => [link.name, link])),
      addresses: readAddresses(names),
      routes: readRoutes(names, 201),
      neighbours: readNeighbours(names),
    };
  });
}

describe("a device", () => {
  it("has its index, MTU and state", () => {
    const { links, ifindex } = scene("link set dev v0 mtu 1400", "link set dev v1 down");
    expect(links.get("v0")).toMatchObject({ ifindex, name: "v0", mtu: 1400, isUp: true, kind: "veth", group: 0 });
    expect(links.get("v1")).toMatchObject({ isUp: false });
  });

  it("has its link-layer address, alias and group", () => {
    const { links } = scene("link set dev v0 address 02:00:00:00:00:0a alias xgw/gw1/user1 group 7");
    expect(links.get("v0")).toMatchObject({ mac: "02:00:00:00:00:0a", alias: "xgw/gw1/user1", group: 7 });
  });

  it("without an alias has none", () => expect(scene().links.get("v0")?.alias).toBeUndefined());

  it("that lies over another of the same namespace has it below", () => {
    expect(scene().links.get("v0")?.below).toBe("v1");
  });

  it("whose other end is in another namespace has nothing below", () => {
    const other = netNamespace();
    const { links } = scene("link set dev v1 name away", `link set dev away netns ${other.name}`);
    expect(links.get("v0")?.below).toBeUndefined();
  });

  it("that is in no other has no master", () => expect(scene().links.get("v0")?.master).toBeUndefined());
});

it("an address has its device and prefix, and not its label", () => {
  const { addresses } = scene("addr add 10.1.0.1/24 dev v0 label v0:x", "addr add fd00::1/64 dev v0");
  const ofV0 = addresses.filter(({ device }) => device === "v0");
  expect(ofV0).toEqual([{ device: "v0", address: "10.1.0.1", prefixLength: 24 }]);
});

describe("a route that bears the protocol", () => {
  const ours = (...commands: string[]) =>
    scene("addr add 10.1.0.1/24 dev v0", "route add 198.51.100.0/24 via 10.1.0.2", ...commands).routes;

  it("to a network has its gateway, table and device", () => {
    expect(ours("route add 192.0.2.0/24 via 10.1.0.2 table 100001 proto 201 metric 5")).toEqual([
      {
        to: { address: 0xc000_0200, length: 24 },
        routeTable: 100_001,
        protocol: 201,
        type: 1,
        metric: 5,
        device: "v0",
        gateway: "10.1.0.2",
      },
    ]);
  });

  it("to everywhere has no address, and of a small table its number", () => {
    const [route] = ours("route add default via 10.1.0.2 table 77 proto 201");
    expect(route).toMatchObject({ to: { address: 0, length: 0 }, routeTable: 77 });
  });

  it("that is unreachable has its type and metric", () => {
    const [route] = ours("route add unreachable default table 100001 proto 201 metric 4278198272");
    expect(route).toMatchObject({ type: 7, metric: 4_278_198_272, gateway: undefined });
  });
});

describe("a neighbour", () => {
  it("that was set for good is permanent", () => {
    const { neighbours } = scene("neigh add 10.1.0.2 lladdr 02:00:00:00:00:0a dev v0 nud permanent");
    expect(neighbours).toEqual([
      { device: "v0", address: "10.1.0.2", linkAddress: "02:00:00:00:00:0a", isPermanent: true },
    ]);
  });

  it("that was learned is not", () => {
    const { neighbours } = scene("neigh add 10.1.0.2 lladdr 02:00:00:00:00:0a dev v0 nud reachable");
    expect(neighbours[0]).toMatchObject({ isPermanent: false });
  });

  it("of IPv6 is left out", () => {
    expect(scene("neigh add fe80::2 lladdr 02:00:00:00:00:0a dev v0").neighbours).toEqual([]);
  });
});

it("many devices are all read", () => {
  const { name, inside } = netNamespace();
  const lines = Array.from({ length: 150 }, (_, at) => `link add a${at} type veth peer name b${at}\n`).join("");
  execFileSync("ip", ["-n", name, "-batch", "-"], { input: lines });
  expect(inside(() => readLinks().length)).toBe(303);
});

describe("of one device out of several", () => {
  function ofV0<T>(read: (names: Map<number, string>, ifindex: number) => T): T {
    const { name, inside, ifindex } = netNamespace();
    for (const device of ["v0", "v1"]) {
      const index = device === "v0" ? 1 : 2;
      execFileSync("ip", ["-n", name, "addr", "add", `10.${index}.0.1/24`, "dev", device]);
      const to = `neigh add 10.${index}.0.2 lladdr 02:00:00:00:00:0${index} dev ${device} nud permanent`;
      execFileSync("ip", ["-n", name, ...to.split(" ")]);
      const route = `route add 192.0.2.0/24 via 10.${index}.0.2 table 10000${index} proto 201`;
      execFileSync("ip", ["-n", name, ...route.split(" ")]);
    }
    return inside(() => read(linkNames(readLinks()), ifindex));
  }

  it("the device is read as among all", () => {
    const [one, all] = ofV0(() => [readLinksOf(["v0"]), readLinks()] as const);
    const { below: _, ...v0 } = all.find(({ name }) => name === "v0") ?? {};
    expect(one).toEqual([expect.objectContaining(v0)]);
  });

  it("what lies below is named when it is asked for, too", () => {
    expect(ofV0(() => readLinksOf(["v0", "v1"]))[0]?.below).toBe("v1");
  });

  it("a device is not found by an alternative name", () => {
    const { name, inside } = netNamespace();
    execFileSync("ip", ["-n", name, "link", "property", "add", "dev", "v0", "altname", "other"]);
    expect(inside(() => readLinksOf(["other"]))).toEqual([]);
  });

  it("a device that there is not is left out", () => {
    expect(ofV0(() => readLinksOf(["v9", "v0"])).map(({ name }) => name)).toEqual(["v0"]);
  });

  it("the addresses are read", () => {
    expect(ofV0(readAddresses).map(({ address }) => address)).toEqual(["10.1.0.1"]);
  });

  it("the neighbours are read", () => {
    expect(ofV0(readNeighbours).map(({ address }) => address)).toEqual(["10.1.0.2"]);
  });

  it("the routes of one table are read", () => {
    expect(ofV0((names) => readRoutes(names, 201, 100_002)).map(({ gateway }) => gateway)).toEqual(["10.2.0.2"]);
  });

  it("of a table that there is not there are no routes", () => {
    expect(ofV0((names) => readRoutes(names, 201, 100_009))).toEqual([]);
  });
});
