import { describe, expect, it } from "vitest";
import { head, load, loadTenants, tenant } from "./fixture.js";

/** What is wrong, without its place and remedy. */
async function faults(...tenants: string[]): Promise<readonly string[]> {
  return (await loadTenants(...tenants)).errors;
}

describe("public addresses", () => {
  it("one that two tenants claim one to one is refused, naming the other place", async () => {
    const seen = await faults(
      tenant("a", 1, "publicIps: [{ address: 2.2.2.11, to: 10.0.0.7 }]"),
      tenant("b", 2, "publicIps: [{ address: 2.2.2.11, to: 10.0.0.7 }]"),
    );
    expect(seen).toEqual([
      "xgw.yaml:12:26: tenants[1].publicIps[0].address: the public address 2.2.2.11 is a's at xgw.yaml:8:26; a one-to-one address leads to one host: remove one of the two",
    ]);
  });

  it("one that a tenant has twice one to one is refused", async () => {
    const seen = await faults(
      tenant("a", 1, "publicIps: [{ address: 2.2.2.11, to: 10.0.0.7 }, { address: 2.2.2.11, to: 10.0.0.8 }]"),
    );
    expect(seen.join("\n")).toContain("the public address 2.2.2.11 is this tenant's already at xgw.yaml:8:26");
  });

  it("a private address with two of them is refused: it could leave under either", async () => {
    const seen = await faults(
      tenant("a", 1, "publicIps: [{ address: 2.2.2.11, to: 10.0.0.7 }, { address: 2.2.2.12, to: 10.0.0.7 }]"),
    );
    expect(seen).toEqual([expect.stringContaining("10.0.0.7 has a public address already at xgw.yaml:8:26")]);
  });

  it("a port forward on somebody's one-to-one address is refused", async () => {
    const seen = await faults(
      tenant("a", 1, "portForwards: [{ address: 2.2.2.11, protocol: tcp, port: 80, to: 10.0.0.7 }]"),
      tenant("b", 2, "publicIps: [{ address: 2.2.2.11, to: 10.0.0.7 }]"),
    );
    expect(seen).toEqual([expect.stringContaining("portForwards[0].address: the public address 2.2.2.11 is b's")]);
  });

  it("a port forward on another tenant's address is refused", async () => {
    const forward = (port: number) =>
      `portForwards: [{ address: 2.2.2.13, protocol: tcp, port: ${port}, to: 10.0.0.7 }]`;
    const seen = await faults(tenant("a", 1, forward(80)), tenant("b", 2, forward(81)));
    expect(seen).toEqual([
      expect.stringContaining("tenants[1].portForwards[0].address: the public address 2.2.2.13 is a's"),
    ]);
  });

  it("the same address, protocol and port twice is refused", async () => {
    const entry = "{ address: 2.2.2.13, protocol: tcp, port: 80, to: 10.0.0.7 }";
    const seen = await faults(tenant("a", 1, `portForwards: [${entry}, ${entry}]`));
    expect(seen).toEqual([expect.stringContaining("2.2.2.13 tcp port 80 is forwarded already at xgw.yaml:8:")]);
  });

  it("two ranges that share a port are refused, and which ports they are is said", async () => {
    const entry = (port: string) => `{ address: 2.2.2.13, protocol: udp, port: ${port}, to: 10.0.0.7 }`;
    const seen = await faults(tenant("a", 1, `portForwards: [${entry("8000-8100")}, ${entry("8090-8200")}]`));
    expect(seen).toEqual([
      expect.stringMatching(/2\.2\.2\.13 udp ports 8090-8100 are forwarded already at xgw\.yaml:8:.*cut the range/),
    ]);
  });

  it("ranges that touch are two port forwards", async () => {
    const entry = (port: string) => `{ address: 2.2.2.13, protocol: tcp, port: ${port}, to: 10.0.0.7 }`;
    expect(await faults(tenant("a", 1, `portForwards: [${entry("80-89")}, ${entry("90-99")}]`))).toEqual([]);
  });

  it("tcp and udp on one port of one address are two port forwards", async () => {
    const entry = (protocol: string) => `{ address: 2.2.2.13, protocol: ${protocol}, port: 443, to: 10.0.0.7 }`;
    expect(await faults(tenant("a", 1, `portForwards: [${entry("tcp")}, ${entry("udp")}]`))).toEqual([]);
  });

  it("a shared address that is another tenant's is refused, whatever it is there", async () => {
    const seen = await faults(
      tenant("a", 1, "publicIps: [{ address: 2.2.2.11, to: 10.0.0.7 }]"),
      tenant("b", 2, "portForwards: [{ address: 2.2.2.12, protocol: tcp, port: 80, to: 10.0.0.7 }]"),
      tenant("c", 3, "snat: { address: 2.2.2.11 }"),
      tenant("d", 4, "snat: { address: 2.2.2.12 }"),
      tenant("e", 5, "snat: { address: 2.2.2.13 }"),
      tenant("f", 6, "snat: { address: 2.2.2.13 }"),
    );
    expect(seen).toEqual([
      expect.stringContaining("tenants[2].snat.address: the public address 2.2.2.11 is a's"),
      expect.stringContaining("tenants[3].snat.address: the public address 2.2.2.12 is b's"),
      expect.stringContaining("tenants[5].snat.address: the public address 2.2.2.13 is e's"),
    ]);
  });

  it("a shared address may be the tenant's own one to one, and that of its port forwards", async () => {
    const own = "publicIps: [{ address: 2.2.2.11, to: 10.0.0.7 }]";
    const forward = "portForwards: [{ address: 2.2.2.12, protocol: tcp, port: 80, to: 10.0.0.7 }]";
    const seen = await faults(
      tenant("a", 1, own, "snat: { address: 2.2.2.11 }"),
      tenant("b", 2, forward, "snat: { address: 2.2.2.12 }"),
    );
    expect(seen).toEqual([]);
  });

  it("a shared address under which nothing would leave is refused", async () => {
    const { errors } = await load({
      "xgw.yaml": `${head}- { name: a, key: 1, routes: [{ to: 0.0.0.0/0, via: 172.168.0.7 }], snat: { address: 2.2.2.13 } }\n`,
    });
    expect(errors).toEqual([expect.stringMatching(/tenants\[0\]\.snat: none of a's routes .* under `from`$/)]);
  });

  it("a shared address that is the underlay's is refused", async () => {
    const seen = await faults(tenant("a", 1, "snat: { address: 172.168.0.1 }"));
    expect(seen).toEqual([expect.stringContaining("tenants[0].snat.address: 172.168.0.1 is the gateway's underlay")]);
  });

  it("the underlay address is refused", async () => {
    const seen = await faults(tenant("a", 1, "publicIps: [{ address: 172.168.0.1, to: 10.0.0.7 }]"));
    expect(seen).toEqual([expect.stringContaining("172.168.0.1 is the gateway's underlay address")]);
  });

  it("one that leads to a host without a route is refused, with the route to add", async () => {
    const seen = await faults(
      tenant("a", 1, "addresses: [10.9.0.1/24]", "publicIps: [{ address: 2.2.2.11, to: 10.9.0.7 }]"),
    );
    expect(seen).toEqual([
      "xgw.yaml:9:40: tenants[0].publicIps[0].to: 10.9.0.7 is in none of a's routes, so packets for it go nowhere; add { to: 10.9.0.7/32, via: <tunnel endpoint> } to a's routes",
    ]);
  });

  it("a port forward to the gateway itself is refused", async () => {
    const seen = await faults(
      tenant(
        "a",
        1,
        "addresses: [10.0.0.1/24]",
        "portForwards: [{ address: 2.2.2.1, protocol: tcp, port: 80, to: 10.0.0.1 }]",
      ),
    );
    expect(seen).toEqual([expect.stringContaining("10.0.0.1 is the gateway's own address inside the tenant")]);
  });
});

describe("routes", () => {
  const withRoutes = (...routes: string[]) =>
    `- name: a\n  key: 1\n  addresses: [10.0.0.1/24]\n  routes:\n${routes.map((route) => `    - ${route}\n`).join("")}`;

  it("a network behind two endpoints is refused", async () => {
    const seen = await faults(
      withRoutes("{ to: 10.0.0.0/24, via: 172.168.0.11 }", "{ to: 10.0.0.0/24, via: 172.168.0.12 }"),
    );
    expect(seen).toEqual([
      expect.stringContaining("routes[1].to: 10.0.0.0/24 already goes via 172.168.0.11 at xgw.yaml:9:"),
    ]);
  });

  it("a route that is there twice is a warning", async () => {
    const route = "{ to: 10.0.0.0/24, via: 172.168.0.11 }";
    const { errors, warnings } = await loadTenants(withRoutes(route, route));
    expect([errors, warnings]).toEqual([[], [expect.stringContaining("is listed already at xgw.yaml:9:")]]);
  });

  it("a route via the gateway itself is refused", async () => {
    const seen = await faults(withRoutes("{ to: 10.0.0.0/24, via: 172.168.0.1 }"));
    expect(seen).toEqual([expect.stringContaining("routes[0].via: 172.168.0.1 is the gateway's own underlay address")]);
  });

  it("a route to the gateway's own address is refused", async () => {
    const seen = await faults(withRoutes("{ to: 10.0.0.1/32, via: 172.168.0.11 }"));
    expect(seen).toEqual([
      expect.stringContaining("10.0.0.1/32 is the gateway's own address inside the tenant (xgw.yaml:7:"),
    ]);
  });

  it("a tenant without any is a warning", async () => {
    const { warnings } = await loadTenants("- name: a\n  key: 1\n");
    expect(warnings).toEqual([expect.stringContaining("a has no routes, so no packet reaches its hosts")]);
  });
});

describe("network devices", () => {
  const withNics = (nics: string) => load({ "xgw.yaml": `${head.replace("tenants:\n", "")}nics: ${nics}\n` });

  it("one that is named twice is refused", async () => {
    const { errors } = await withNics("[{ name: eth0 }, { name: eth0, xdp: generic }]");
    expect(errors).toEqual([
      "xgw.yaml:4:32: nics[1].name: eth0 is listed already at xgw.yaml:4:16; remove one of the two",
    ]);
  });

  it("an underlay device that is not among the NICs is refused", async () => {
    const { errors } = await withNics("[{ name: eth1 }]");
    expect(errors).toEqual([expect.stringContaining("the underlay device eth0 is not listed")]);
  });

  for (const device of ["eth0.100", "eth0.100.7"])
    it(`a VLAN device is served by the NIC that its name says: ${device}`, async () => {
      const text = head.replace("eth0", device).replace("tenants:\n", "nics: [{ name: eth0 }]\n");
      expect((await load({ "xgw.yaml": text })).errors).toEqual([]);
    });

  it("a VLAN device of another NIC is not", async () => {
    const text = head.replace("eth0", "eth01.100").replace("tenants:\n", "nics: [{ name: eth0 }]\n");
    const { errors } = await load({ "xgw.yaml": text });
    expect(errors).toEqual([
      "xgw.yaml:4:1: nics: the underlay device eth01.100 is not listed, so its traffic has no fast path; " +
        "add { name: eth01.100, xdp: native }, or the NIC that it is a VLAN of",
    ]);
  });
});

describe("the uplink", () => {
  const withUplink = (uplink: string, rest = "tenants: []\n") =>
    load({ "xgw.yaml": head.replace("tenants:\n", `uplink: ${uplink}\nnics: [{ name: eth0 }]\n${rest}`) });

  it("may be the underlay device", async () => {
    expect((await withUplink("{ device: eth0, gateway: 203.0.113.1 }")).errors).toEqual([]);
  });

  it("on a NIC that is not listed is refused", async () => {
    const { errors } = await withUplink("{ device: eth1, gateway: 203.0.113.1 }");
    expect(errors).toEqual([expect.stringContaining("nics: the uplink device eth1 is not listed")]);
  });

  it("without a gateway is refused", async () => {
    const { errors } = await withUplink("{ device: eth0 }");
    expect(errors).toEqual([expect.stringMatching(/^xgw\.yaml:4:.*uplink.*gateway/)]);
  });

  it("with the underlay's own address as its gateway is refused", async () => {
    const { errors } = await withUplink("{ device: eth0, gateway: 172.168.0.1 }");
    expect(errors).toEqual([
      "xgw.yaml:4:34: uplink.gateway: 172.168.0.1 is the gateway's own underlay address; " +
        "give the address of the router behind the uplink device",
    ]);
  });

  it("with a tenant's public address as its gateway is refused, with the place of that", async () => {
    const one = tenant("a", 1, "publicIps: [{ address: 2.2.2.11, to: 10.0.0.7 }]");
    const { errors } = await withUplink("{ device: eth0, gateway: 2.2.2.11 }", `tenants:\n${one}`);
    expect(errors).toEqual([
      expect.stringMatching(/uplink\.gateway: 2\.2\.2\.11 is a's public address at xgw\.yaml:10:/),
    ]);
  });
});

describe("policies", () => {
  it("a port forward that inbound policy keeps shut is a warning that names the rule to add", async () => {
    const { warnings } = await loadTenants(
      tenant(
        "a",
        1,
        "portForwards: [{ address: 2.2.2.13, protocol: tcp, port: 80, to: 10.0.0.7, toPort: 8080 }]",
        "policy: { inbound: [{ allow: tcp, ports: [80] }] }",
      ),
    );
    expect(warnings).toEqual([expect.stringContaining("add { allow: tcp, ports: [8080] } to policy.inbound")]);
  });

  it("a range of port forwards that inbound policy keeps shut is a warning, one that is open in part is none", async () => {
    const forward = (port: string) =>
      `portForwards: [{ address: 2.2.2.13, protocol: tcp, port: ${port}, to: 10.0.0.7, toPort: 9000 }]`;
    const policy = "policy: { inbound: [{ allow: tcp, ports: [9010] }] }";
    const shut = await loadTenants(tenant("a", 1, forward("8000-8009"), policy));
    expect(shut.warnings).toEqual([
      expect.stringContaining("add { allow: tcp, ports: [9000-9009] } to policy.inbound"),
    ]);
    const open = await loadTenants(tenant("a", 1, forward("8000-8010"), policy));
    expect(open.warnings).toEqual([]);
  });

  it("a port forward that is open to some sources is no warning", async () => {
    const { warnings } = await loadTenants(
      tenant(
        "a",
        1,
        "portForwards: [{ address: 2.2.2.13, protocol: tcp, port: 80, to: 10.0.0.7 }]",
        "policy: { inbound: [{ allow: tcp, ports: [80], from: 203.0.113.0/24 }] }",
      ),
    );
    expect(warnings).toEqual([]);
  });

  it("a rule that those above it leave nothing to decide is a warning", async () => {
    const { warnings } = await loadTenants(
      tenant("a", 1, "policy: { outbound: [{ allow: any }, { deny: tcp, ports: [22] }] }"),
    );
    expect(warnings).toEqual([expect.stringContaining("policy.outbound[1]: the rule never decides anything")]);
  });

  it.each([
    ["denies, and nothing else, is a warning", "[{ deny: tcp, ports: [25] }]", 1],
    ["is empty, which says that nothing goes out, is none", "[]", 0],
    ["allows something is none", "[{ deny: tcp, ports: [25] }, { allow: any }]", 0],
  ])("an outbound list that %s", async (_what, rules, count) => {
    const { warnings } = await loadTenants(tenant("a", 1, `policy: { outbound: ${rules} }`));
    expect(warnings).toEqual(
      Array(count).fill(
        expect.stringMatching(
          /policy.outbound: the outbound rules allow nothing, .*; add { allow: any } as the last rule/,
        ),
      ),
    );
  });

  it("a policy that falls into too many pieces is refused", async () => {
    const stripes = Array.from({ length: 200 }, (_, index) => [
      `{ deny: any, from: 10.${index}.0.0/32 }`,
      `{ deny: tcp, ports: [${index * 2 + 1}] }`,
    ]).flat();
    const { errors } = await loadTenants(tenant("a", 1, `policy: { inbound: [${stripes}, { allow: any }] }`));
    expect(errors).toEqual([expect.stringContaining("the rules cut each other into more than 16384 pieces")]);
  });
});
