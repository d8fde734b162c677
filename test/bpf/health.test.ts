// What `xgw doctor` finds in a network namespace that something has really happened to: the command itself, as a shell sees it.
// This kernel may lack what tenants need; that is found as well, and left out here.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BpfObject, inNetNamespace, interfaceIndex } from "libbpf-ts";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { outputSchemas } from "../../src/cli/output/schemas.js";
import type { Health } from "../../src/doctor.js";
import { healthSchema } from "../../src/health/schema.js";
import { exampleText } from "../unit/plan/fixture.js";
import { datapathModules } from "./support/built.js";
import { objectFile } from "./support/datapath.js";
import { makeNamespace } from "./support/kernel.js";

const main = fileURLToPath(new URL("../../dist/xgw/lib/main.js", import.meta.url));
const instance = `ill${process.pid}`;
const namespace = makeNamespace();
namespace.ip("link", "add", "eth0", "type", "veth", "peer", "name", "peer0");

const { objects, load, attachments, pins: pinsModule } = datapathModules;
const pins = new pinsModule.Pins(instance);
const constants = { underlayAddress: "172.168.0.1", netnsInode: 1, countsSessions: false, flows: 4096 };
const fingerprint = objects.fingerprintOf(constants);
const inside = <T>(work: () => T): T => inNetNamespace(namespace.path, work as () => never);
const index = inside(() => interfaceIndex("eth0"));
const names = { indexOf: () => index, nameOf: () => "eth0" };

const folder = mkdtempSync(join(tmpdir(), "xgw-health-"));
const config = join(folder, "xgw.yaml");
writeFileSync(config, await exampleText(["instance: gw1", `instance: ${instance}`]));

beforeAll(() => {
  load.loadDatapath(pins, fingerprint, constants);
  namespace.exec("ethtool", "-K", "peer0", "gro", "on");
  namespace.ip("link", "set", "peer0", "up");
});
/** Whatever the last test has left. */
beforeEach(() => {
  namespace.ip("address", "flush", "dev", "eth0");
  namespace.ip("address", "add", "172.168.0.1/24", "dev", "eth0");
  namespace.ip("link", "set", "eth0", "up");
  namespace.exec("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0");
  attachXdp();
});
afterEach(() => {
  for (const back of undo.splice(0).reverse()) back();
  detachXdp();
});
afterAll(() => {
  pins.removeAll();
  rmSync(folder, { recursive: true });
});
const undo: (() => void)[] = [];

function attachXdp(): void {
  const attachment = { device: "eth0", hook: "xdp", program: "xgw_xdp", fingerprint, mode: "native" } as const;
  inside(() => attachments.attach(pins, "xdp_eth0", attachment, undefined, names));
}

function detachXdp(): void {
  for (const name of pins.links()) inside(() => attachments.detach(pins, name));
}

function xgw(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(
    "nsenter",
    [`--net=${namespace.path}`, process.execPath, main, "-c", config, ...words],
    { encoding: "utf8" },
  );
  return { code: status, stdout, stderr };
}

/** Of this kernel, of the example that nobody applies here, and of a namespace that is not the first one. */
const always = ["kernel_lacks", "not_in_step", "no_daemon", "table_too_small", "cannot_compare"];

/** What the last look has found. */
let last: Health["findings"] = [];

function diagnosis(): Health["findings"] {
  const { findings } = JSON.parse(xgw("doctor", "-j").stdout) as Health;
  last = findings.filter(({ id }) => !always.includes(id));
  return last;
}

const found = () => diagnosis().map(({ severity, id, subject }) => `${severity} ${id} ${subject}`);

/** Carries out the command of a finding of the last look, in the namespace, and sees that it is gone. */
function expectMended(id: string): void {
  const finding = last.find((one) => one.id === id);
  expect(finding, `${id} is not found`).toBeDefined();
  namespace.exec("sh", "-c", finding?.remedy ?? "false");
  expect(found().filter((one) => one.includes(id))).toEqual([]);
}

it("finds nothing where nothing is wrong", () => {
  expect(found()).toEqual([]);
});

describe("finds, and mends by the command that it names,", () => {
  it("a NIC that is down", () => {
    namespace.ip("link", "set", "eth0", "down");
    expect(found()).toContain("critical device_down eth0");
    expectMended("device_down");
  });

  it("an underlay.address that no device has", () => {
    namespace.ip("address", "del", "172.168.0.1/24", "dev", "eth0");
    namespace.ip("address", "add", "172.168.0.2/24", "dev", "eth0");
    expect(found()).toEqual(["critical underlay_address_missing 172.168.0.1"]);
    expectMended("underlay_address_missing");
  });

  it("a strict reverse path filter for all devices", () => {
    namespace.exec("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1");
    expect(found()).toEqual(["warning reverse_path_filter net.ipv4.conf.all.rp_filter"]);
    expectMended("reverse_path_filter");
  });

  it.each(["ip", "inet"])("a forward chain of somebody else's that drops by default, in a table of %s", (family) => {
    namespace.exec(
      "nft",
      `table ${family} filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }`,
    );
    undo.push(() => namespace.exec("nft", `delete table ${family} filter`));
    expect(found()).toEqual([`critical foreign_drop ${family} filter FORWARD`]);
    expectMended("foreign_drop");
  });

  it("a firewall of the machine's that lets no GRE in", () => {
    const chain =
      "chain input { type filter hook input priority 0; policy drop; ct state established accept; tcp dport 22 accept; }";
    namespace.exec("nft", `table inet firewall { ${chain}; }`);
    undo.push(() => namespace.exec("nft", "delete table inet firewall"));
    expect(found()).toEqual(["warning foreign_drop inet firewall input"]);
    expectMended("foreign_drop");
  });

  it("a routing rule in front of the one that leads tenants to their tables", () => {
    namespace.ip("rule", "add", "pref", "0", "from", "10.9.9.9", "table", "77");
    namespace.ip("rule", "add", "pref", "0", "l3mdev");
    undo.push(() => namespace.ip("rule", "del", "pref", "0", "l3mdev"));
    expect(found()).toEqual(["critical rule_in_front ipv4 0"]);
    expectMended("rule_in_front");
  });

  it("an address that is a tenant's far end", () => {
    namespace.ip("address", "add", "172.168.0.11/32", "dev", "eth0");
    expect(found()).toEqual(["critical endpoint_is_own eth0 172.168.0.11"]);
    expectMended("endpoint_is_own");
  });
});

describe("finds", () => {
  it("a NIC without a carrier, since its peer is down", () => {
    namespace.ip("link", "set", "peer0", "down");
    undo.push(() => namespace.ip("link", "set", "peer0", "up"));
    expect(found()).toContain("critical no_carrier eth0");
  });

  it("that a table whose chain drops is out of force, and says nothing", () => {
    namespace.exec(
      "nft",
      "table ip filter { flags dormant; chain FORWARD { type filter hook forward priority 0; policy drop; }; }",
    );
    undo.push(() => namespace.exec("nft", "delete table ip filter"));
    expect(found()).toEqual([]);
  });

  it("XDP that somebody has detached, while its link is still pinned; status says so, too", () => {
    const pinned = spawnSync("bpftool", ["link", "detach", "pinned", pins.link("xdp_eth0")], { encoding: "utf8" });
    expect(pinned.stderr).toBe("");
    const [finding] = diagnosis();
    expect(finding).toMatchObject({ id: "xdp_detached", what: "XDP has been detached from NIC eth0" });
    expect(outputSchemas.status.schema.parse(JSON.parse(xgw("status", "-j").stdout)).nics).toEqual([
      { name: "eth0", xdp: "none", unsent: 0 },
    ]);
    expect(xgw("status").stdout).toContain("XDP on no NIC");
  });

  it("a NIC whose peer does not take what XDP sends", () => {
    namespace.exec("ethtool", "-K", "peer0", "gro", "off");
    undo.push(() => namespace.exec("ethtool", "-K", "peer0", "gro", "on"));
    expect(found()).toEqual(["warning redirects_not_sent eth0"]);
  });

  it("a network of the machine's that overlaps with tenants'", () => {
    namespace.ip("address", "add", "10.0.0.99/16", "dev", "v0");
    undo.push(() => namespace.ip("address", "flush", "dev", "v0"));
    expect(found()).toContain("note address_overlaps v0 10.0.0.99");
  });
});

describe("where XDP is somebody else's", () => {
  const foreign = BpfObject.open(objectFile("test-pass.bpf.o")).load();
  afterAll(() => foreign.close());

  it("says whose program runs, and status does not call it xgw's", () => {
    detachXdp();
    const theirs = inside(
      () => foreign.program("pass").attachXdp({ ifindex: index, mode: "native" }) as never,
    ) as Disposable;
    undo.push(() => theirs[Symbol.dispose]());
    expect(found()).toEqual(["critical xdp_foreign eth0"]);
    const { code, stdout, stderr } = xgw("status");
    expect({ code, stdout, stderr }).toEqual({
      code: 5,
      stdout: expect.stringContaining(`${instance}: figures of what is in force`),
      stderr: expect.stringMatching(/NIC eth0 runs XDP program \d+, which is not xgw's/),
    });
  });
});

describe("where the MTU is more than the driver takes", () => {
  beforeEach(() => {
    detachXdp();
    namespace.ip("link", "set", "peer0", "mtu", "9000");
    undo.push(() => namespace.ip("link", "set", "peer0", "mtu", "1500"));
  });

  it("names the MTU, and whose it is", () => {
    const [finding] = diagnosis().filter(({ id }) => id === "mtu_beyond_xdp");
    expect(finding?.what).toBe("peer0, the peer of NIC eth0, has an MTU of 9000, and runs no XDP program");
  });

  it("is what the refusal says", () => {
    expect(attachXdp).toThrow(
      /eth0 \(native\) does not take the XDP program: .* MTU of 3498 only, a veth looks at its peer's/,
    );
  });

  it("is mended by the command that it names", () => {
    const [finding] = diagnosis().filter(({ id }) => id === "mtu_beyond_xdp");
    namespace.exec("sh", "-c", (finding?.remedy ?? "false").replace("&& xgw apply", ""));
    attachXdp();
    expect(found()).toEqual([]);
  });
});

describe("the command", () => {
  it("prints what its schema says", () => {
    namespace.exec("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1");
    for (const words of [
      ["doctor", "-j"],
      ["status", "--check", "-j"],
    ])
      expect(healthSchema.parse(JSON.parse(xgw(...words).stdout)).counts.warning).toBeGreaterThan(0);
  });

  it("keeps its words within 80 columns: only commands may be longer", () => {
    namespace.ip("link", "set", "eth0", "down");
    const long = xgw("doctor")
      .stdout.split("\n")
      .filter((line) => line.length > 80);
    expect(long.filter((line) => !/^ {2}(see|fix): /.test(line))).toEqual([]);
  });

  it("ends with 2 when something is critical, and status --check with the same and one line", () => {
    namespace.ip("link", "set", "eth0", "down");
    const { code, stdout } = xgw("status", "--check");
    expect({ code, stdout, doctor: xgw("doctor").code }).toEqual({
      code: 2,
      stdout: expect.stringMatching(new RegExp(`^CRITICAL ${instance}: \\d critical.*\\n$`)),
      doctor: 2,
    });
  });

  it("ends with 2 when the config is refused, and names what is wrong with it", () => {
    const bad = join(folder, "bad.yaml");
    writeFileSync(bad, "tenants: [");
    const { code, stderr } = xgw("doctor", "-c", bad);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("bad.yaml") });
  });

  it("ends with 3 when it may not look", () => {
    const { status, stderr } = spawnSync("setpriv", [
      ...["--bounding-set=-all", "--inh-caps=-all", process.execPath, main, "-c", config, "status", "--check"],
    ]);
    expect([status, stderr.toString()]).toEqual([3, expect.stringContaining("CAP_NET_ADMIN")]);
  });
});
