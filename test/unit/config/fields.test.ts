import { describe, expect, it } from "vitest";
import { head, load, loadTenants, tenant } from "./fixture.js";

describe("a field that is wrong by itself is refused with its place and a remedy", () => {
  const cases: [wrong: string, line: string, wanted: string][] = [
    [
      "a key of 2^32",
      "key: 4294967296",
      "xgw.yaml:6:8: tenants[0].key: 4294967296 is out of range; write a whole number from 0 to 4294967295",
    ],
    [
      "a key in quotes",
      'key: "12"',
      'xgw.yaml:6:8: tenants[0].key: must be a whole number, not "12"; remove the quotes',
    ],
    [
      "an unknown field",
      "publicips: []",
      'xgw.yaml:6:3: tenants[0].publicips: unknown field "publicips"; did you mean "publicIps"?',
    ],
    [
      "an unknown word",
      "tunnel: gretapp",
      'xgw.yaml:6:11: tenants[0].tunnel: unknown value "gretapp"; did you mean gretap? The words are gretap or gre',
    ],
    [
      "a field without a value",
      "publicIps:",
      "xgw.yaml:6:13: tenants[0].publicIps: the field has no value; write [] for none, or remove the line",
    ],
    [
      "one value for a list",
      "addresses: 10.0.0.1/24",
      'xgw.yaml:6:14: tenants[0].addresses: must be a list, not "10.0.0.1/24"; write a list: [10.0.0.1/24]',
    ],
    [
      "an own address without its length",
      "addresses: [10.0.0.1]",
      'xgw.yaml:6:15: tenants[0].addresses[0]: "10.0.0.1" has no prefix length; add the network\'s length, as in 10.0.0.1/24',
    ],
    [
      "a network as own address",
      "addresses: [10.0.0.0/24]",
      "xgw.yaml:6:15: tenants[0].addresses[0]: 10.0.0.0/24 is the network itself, not an address in it; give the gateway's own address",
    ],
    [
      "a limit of nothing",
      "limits: { sessions: 0 }",
      "xgw.yaml:6:23: tenants[0].limits.sessions: 0 is out of range; write a whole number from 1 to 4294967295",
    ],
    [
      "a route with host bits",
      "routes: [{ to: 10.0.0.7/24, via: 172.168.0.11 }]",
      "xgw.yaml:6:18: tenants[0].routes[0].to: 10.0.0.7/24 has host bits set; write 10.0.0.0/24 for the network, or 10.0.0.7/32 for the one address",
    ],
    [
      "a route via a network",
      "routes: [{ to: 10.0.0.7/32, via: 172.168.0.0/24 }]",
      'xgw.yaml:6:36: tenants[0].routes[0].via: "172.168.0.0/24" is not an IPv4 address; write the address alone, as in 172.168.0.0',
    ],
    [
      "a route via a multicast group",
      "routes: [{ to: 10.0.0.7/32, via: 224.0.0.1 }]",
      "xgw.yaml:6:36: tenants[0].routes[0].via: 224.0.0.1 is a multicast address; give the address of one host",
    ],
    [
      "a range of ports that is led to one of another length",
      "portForwards: [{ address: 2.2.2.2, protocol: tcp, port: 80-89, to: 10.0.0.7, toPort: 90-98 }]",
      "xgw.yaml:6:88: tenants[0].portForwards[0].toPort: 90-98 has not as many ports as 80-89; write 90, or 90-99",
    ],
    [
      "a range of ports that would end beyond the last one",
      "portForwards: [{ address: 2.2.2.2, protocol: tcp, port: 80-89, to: 10.0.0.7, toPort: 65527 }]",
      "xgw.yaml:6:88: tenants[0].portForwards[0].toPort: 10 ports from 65527 on go beyond 65535; write 65526 or less",
    ],
    [
      "more ports led to others than the kernel should have elements",
      "portForwards: [{ address: 2.2.2.2, protocol: tcp, port: 1000-2024, to: 10.0.0.7, toPort: 1001 }]",
      "xgw.yaml:6:59: tenants[0].portForwards[0].port: 1025 ports are led to others, each of which costs the kernel an element of its own; leave `toPort` out, so that ports stay as they are, or forward 1024 at most",
    ],
    [
      "an IPv6 address",
      'publicIps: [{ address: "2001:db8::1", to: 10.0.0.7 }]',
      'xgw.yaml:6:26: tenants[0].publicIps[0].address: "2001:db8::1" is not an IPv4 address; write four numbers from 0 to 255, as in 10.0.0.7',
    ],
  ];
  it.each(cases)("%s", async (_wrong, line, wanted) => {
    const extra = line.startsWith("key:") ? [] : ["key: 1"];
    const { errors } = await load({
      "xgw.yaml": `${head}- name: a\n  ${line}\n${extra.map((l) => `  ${l}\n`).join("")}`,
    });
    expect(errors).toEqual([wanted]);
  });
});

describe("a policy rule that is wrong by itself", () => {
  const cases: [wrong: string, rule: string, wanted: string][] = [
    [
      "names a protocol that nobody knows",
      "{ allow: tpc }",
      'allow: unknown value "tpc"; did you mean tcp? The words are tcp, udp, icmp or any, or a protocol number from 0 to 255',
    ],
    [
      "has a protocol number of 300",
      "{ allow: 300 }",
      "allow: 300 is out of range; write a whole number from 0 to 255",
    ],
    [
      "misspells allow, which is then not reported as missing",
      "{ alow: tcp }",
      'alow: unknown field "alow"; did you mean "allow"?',
    ],
    [
      "allows and denies",
      "{ allow: tcp, deny: udp }",
      "deny: a rule either allows or denies; make two rules of it; the first that matches decides",
    ],
    [
      "has ports where there are none",
      "{ allow: icmp, ports: [8] }",
      "ports: ports mean nothing with icmp; write one rule for tcp and one for udp",
    ],
    [
      "has a port of 70000",
      "{ allow: tcp, ports: [70000] }",
      "ports[0]: 70000 is out of range; write a whole number from 1 to 65535",
    ],
    ["has a range that runs backwards", "{ allow: tcp, ports: [9-1] }", "ports[0]: 9-1 runs backwards; write 1-9"],
    [
      "has an empty list of ports",
      "{ allow: tcp, ports: [] }",
      "ports: the list is empty; leave it out, or name at least one",
    ],
    [
      "names the outbound far side inbound",
      "{ allow: tcp, to: 10.0.0.0/8 }",
      'to: unknown field "to"; the fields here are allow, deny, ports, from',
    ],
    [
      "names one address as a network",
      "{ allow: tcp, from: 10.0.0.7 }",
      'from: "10.0.0.7" has no prefix length; write 10.0.0.7/32 for this one address',
    ],
  ];
  it.each(cases)("%s", async (_wrong, rule, wanted) => {
    const { errors } = await loadTenants(tenant("a", 1, "policy:", `  inbound: [${rule}]`));
    const place = /^xgw\.yaml:9:\d+: tenants\[0\]\.policy\.inbound\[0\]\.?/;
    expect(errors.map((error) => error.replace(place, ""))).toEqual([wanted]);
  });

  it("says neither allow nor deny", async () => {
    const { errors } = await loadTenants(tenant("a", 1, "policy:", "  inbound: [{ ports: [22] }]"));
    expect(errors.join()).toContain("the rule neither allows nor denies anything; add `allow:` or `deny:`");
  });
});

it("every error of a file is reported at once, in the file's order", async () => {
  const { errors } = await load({
    "xgw.yaml": `apiVersion: xgw/v1
instnce: GW
underlay: { device: eth0 }
nics: [{ name: "eth 0", xdp: natve }]
tenants:
  - name: a
    key: -1
  - key: 2
`,
  });
  expect(errors.map((error) => error.split("; ")[0])).toEqual([
    'xgw.yaml:2:10: instnce: unknown field "instnce"',
    'xgw.yaml:3:11: underlay.address: the field "address" is missing',
    'xgw.yaml:4:16: nics[0].name: "eth 0" cannot be a network device',
    'xgw.yaml:4:30: nics[0].xdp: unknown value "natve"',
    "xgw.yaml:7:10: tenants[0].key: -1 is out of range",
    'xgw.yaml:8:5: tenants[1].name: the field "name" is missing',
  ]);
});

describe("what is left out has a default that an operator expects", () => {
  it("the NIC is the underlay device with native XDP", async () => {
    const { loaded } = await loadTenants(tenant("a", 1));
    expect(loaded?.config.nics).toEqual([{ name: "eth0", xdp: "native" }]);
  });

  it("the instance is called default", async () => {
    const { loaded } = await load({
      "xgw.yaml": "apiVersion: xgw/v1\nunderlay: { device: eth0, address: 172.168.0.1 }\n",
    });
    expect(loaded?.config.instance).toBe("default");
  });

  it("a tenant is tunnelled by gretap, has no limits, and drops what an edit forbids", async () => {
    const { loaded } = await loadTenants(tenant("a", 1));
    expect(loaded?.config.tenants[0]).toMatchObject({
      tunnel: "gretap",
      limits: {},
      policy: { inbound: [], established: "drop" },
    });
  });
});
