// iproute2's JSON. The samples are what iproute2 6.1 printed.
import { describe, expect, it } from "vitest";
import { parseRoutes } from "../../../src/kernel/ip.js";

describe("routes with an encapsulation, whose JSON names `dst` twice", () => {
  const sample = `[{"type":"7","dst":"default","table":"100001","protocol":"201","flags":[]},
    {"dst":"10.0.0.7","encap":"ip","id":1000,"src":"0.0.0.0","dst":"172.168.0.11","ttl":0,"tos":0,"key":true,"dev":"v0",
     "table":"100001","protocol":"201","scope":"253","flags":["linkdown"]},
    {"dst":"default","encap":"ip","id":1000,"src":"0.0.0.0","dst":"172.168.0.7","ttl":0,"tos":0,"key":true,"dev":"v0",
     "table":"100002","protocol":"201","scope":"253","flags":["linkdown"]},
    {"type":"2","dst":"10.0.0.1","dev":"v0","table":"255","protocol":"2","scope":"254","prefsrc":"10.0.0.1","flags":[]}]`
    .replaceAll("\n     ", "")
    .replaceAll("\n    ", "");
  const routes = parseRoutes(sample);

  it("keep the prefix as `dst`", () => {
    expect(routes.map(({ dst }) => dst)).toEqual(["default", "10.0.0.7", "default", "10.0.0.1"]);
  });

  it("have the tunnel endpoint as `encapDst`", () => {
    expect(routes.map(({ encapDst }) => encapDst)).toEqual([undefined, "172.168.0.11", "172.168.0.7", undefined]);
  });

  it("have the tunnel's id", () => {
    expect(routes.map(({ id }) => id)).toEqual([undefined, 1000, 1000, undefined]);
  });

  it("have type, table and protocol as text, in numbers", () => {
    expect(routes.map(({ type, table, protocol }) => [type, table, protocol])).toEqual([
      ["7", "100001", "201"],
      [undefined, "100001", "201"],
      [undefined, "100002", "201"],
      ["2", "255", "2"],
    ]);
  });
});

it("an encapsulation that names its source last is read as well", () => {
  const [route] = parseRoutes(
    '[{"dst":"10.0.0.7","encap":"ip","id":1,"dst":"172.168.0.1","src":"0.0.0.0","dev":"v0"}]',
  );
  expect([route?.dst, route?.encapDst]).toEqual(["10.0.0.7", "172.168.0.1"]);
});

it("an encapsulation that is an object (iproute2 6.15) is read as well", () => {
  const [route] = parseRoutes(
    '[{"dst":"10.0.0.7","encap":{"encap_type":"ip","id":1000,"src":"0.0.0.0","dst":"172.168.0.11","ttl":0,"tos":0,' +
      '"key":true},"dev":"v0","table":"100001","protocol":"201","flags":[]}]',
  );
  expect([route?.dst, route?.encap, route?.id, route?.encapDst]).toEqual(["10.0.0.7", "ip", 1000, "172.168.0.11"]);
});

it("another kind of encapsulation is left alone", () => {
  const [route] = parseRoutes(
    '[{"dst":"10.0.0.7","encap":"mpls","via":{"family":"inet","host":"1.1.1.1"},"dev":"v0"}]',
  );
  expect([route?.dst, route?.encapDst]).toEqual(["10.0.0.7", undefined]);
});

it("no routes are no routes", () => expect(parseRoutes("[]")).toEqual([]));
