// Which sources leave under a shared public address.
import { expect, it } from "vitest";
import { formatAddress } from "../../../src/model/ipv4.js";
import { sharedSources } from "../../../src/model/sources.js";

const seen = (routes: readonly string[], named?: readonly string[]) =>
  sharedSources(
    routes.map((to) => ({ to })),
    named,
  ).map(({ from, to }) => `${formatAddress(from)}-${formatAddress(to)}`);

const cases: readonly (readonly [what: string, routes: string[], named: string[] | undefined, wanted: string[]])[] = [
  ["private routes when nothing is named", ["10.0.0.7/32", "1.1.1.7/32"], undefined, ["10.0.0.7-10.0.0.7"]],
  ["a default route is no private network", ["0.0.0.0/0", "100.64.0.0/24"], undefined, ["100.64.0.0-100.64.0.255"]],
  ["nor one that is private in part", ["172.0.0.0/8", "172.31.0.0/16"], undefined, ["172.31.0.0-172.31.255.255"]],
  ["what is named, and no route", ["10.0.0.7/32"], ["8.8.8.0/24"], ["8.8.8.0-8.8.8.255"]],
  ["one in another is one", ["192.168.0.0/24", "192.168.0.7/32"], undefined, ["192.168.0.0-192.168.0.255"]],
  ["neighbours are one, and come in order", [], ["10.0.1.0/24", "10.0.0.0/24"], ["10.0.0.0-10.0.1.255"]],
  ["up to the last address", [], ["128.0.0.0/1", "255.255.255.255/32"], ["128.0.0.0-255.255.255.255"]],
];

for (const [what, routes, named, wanted] of cases) it(what, () => expect(seen(routes, named)).toEqual(wanted));
