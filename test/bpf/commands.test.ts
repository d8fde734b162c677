// The command itself, as a shell sees it: exit codes, words, and that a refusal changes nothing. In a network namespace
// with a NIC; whether the rest of the gateway could run on this kernel does not matter here.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BpfObject, inNetNamespace, interfaceIndex } from "libbpf-ts";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { outputSchemas } from "../../src/cli/output/schemas.js";
import { exampleText, thirdTenant } from "../unit/plan/fixture.js";
import { objectFile } from "./support/datapath.js";
import { makeNamespace } from "./support/kernel.js";

const main = fileURLToPath(new URL("../../dist/xgw/lib/main.js", import.meta.url));
const instance = `cmd${process.pid}`;
const namespace = makeNamespace();
namespace.ip("link", "add", "eth0", "type", "veth", "peer", "name", "peer0");
namespace.ip("address", "add", "172.168.0.1/24", "dev", "eth0");

const folder = mkdtempSync(join(tmpdir(), "xgw-commands-"));
afterAll(() => rmSync(folder, { recursive: true }));

const example = await exampleText(["instance: gw1", `instance: ${instance}`]);
const pins = `/sys/fs/bpf/xgw/${instance}`;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function xgw(words: readonly string[], text: string, prefix: readonly string[] = []): Ended {
  const config = join(folder, "xgw.yaml");
  writeFileSync(config, text);
  // `ip netns exec` would hide the BPF file system behind a /sys of its own.
  const command = [`--net=${namespace.path}`, ...prefix, process.execPath, main, "-c", config, ...words];
  const { status, stdout, stderr } = spawnSync("nsenter", command, { encoding: "utf8" });
  return { code: status, stdout, stderr };
}

/** Where a line of that length has room for its place, it stands behind. */
const placeBehind = (line: number, length: number) => {
  const place = `${join(folder, "xgw.yaml")}:${line}`;
  return length + 2 + place.length <= 80 ? `  ${place}` : "";
};

/** All that a command could have changed here. */
const snapshot = () =>
  namespace.exec(
    "sh",
    "-c",
    `ip -d link show; ip -4 route show table all; nft list ruleset; ls -d ${pins} 2>&1;
    sysctl net.ipv4.ip_forward net.ipv4.conf.eth0.rp_filter`,
  );

describe("a config that is refused: exit code 2, the place, and nothing changed", () => {
  const refused: readonly (readonly [string, string, RegExp])[] = [
    ["broken YAML", "tenants: [", /xgw\.yaml:\d+:\d+: /],
    ["an unknown field", `${example}\ncolour: blue\n`, /colour/],
    ["a key of 2^32", example.replace("key: 2000", "key: 4294967296"), /tenants\[1\]\.key: .*4294967295/],
    [
      "a public address that two tenants claim",
      example.replace("address: 2.2.2.12", "address: 2.2.2.11"),
      /tenants\[1\]\.publicIps\[0\]\.address: .*2\.2\.2\.11/,
    ],
    ["a key that two tenants have", example + thirdTenant.replace("key: 3000", "key: 1000"), /tenants\[2\]\.key/],
    ["nothing at all", "", /./],
  ];
  for (const [name, text, words] of refused)
    it(`apply: ${name}`, () => {
      const before = snapshot();
      const { code, stderr } = xgw(["apply"], text);
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(words) });
      expect(snapshot()).toBe(before);
    });

  for (const command of ["plan", "run", "status", "validate"])
    it(`${command}: an unknown field`, () => {
      const { code, stderr } = xgw([command], `${example}\ncolour: blue\n`);
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("colour") });
    });

  it("apply: a file that is not there", () => {
    const { status, stderr } = spawnSync(process.execPath, [main, "-c", join(folder, "none.yaml"), "apply"], {
      encoding: "utf8",
    });
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining("none.yaml") });
  });
});

describe("a NIC that does not exist", () => {
  const text = example.replaceAll("eth0", "eth7");

  it("plan: exit code 3, its name and the names that there are", () => {
    const { code, stderr } = xgw(["plan"], text);
    expect({ code, stderr }).toEqual({
      code: 3,
      stderr: expect.stringMatching(/there is no network device eth7 in this network namespace; .*eth0/),
    });
  });

  it("apply: exit code 3 and nothing changed", () => {
    const before = snapshot();
    expect(xgw(["apply"], text).code).toBe(3);
    expect(snapshot()).toBe(before);
  });
});

describe("an underlay.address that no device has", () => {
  const text = example.replace("address: 172.168.0.1 }", "address: 172.168.0.99 }");
  const words =
    /no device has underlay\.address 172\.168\.0\.99; there are: 172\.168\.0\.1\/24 on eth0; .*ip address add 172\.168\.0\.99\/24 dev eth0/;

  for (const command of ["plan", "apply", "run"])
    it(`${command}: exit code 3, the addresses that there are, and nothing changed`, () => {
      const before = snapshot();
      const { code, stderr, stdout } = xgw([command], text);
      expect({ code, said: stderr + stdout }).toEqual({ code: 3, said: expect.stringMatching(words) });
      expect(snapshot()).toBe(before);
    });

  it("is taken from any device of the machine's own, the loopback too", () => {
    namespace.ip("address", "add", "172.168.0.99/32", "dev", "lo");
    expect(xgw(["plan"], text).code).toBe(1);
    namespace.ip("address", "del", "172.168.0.99/32", "dev", "lo");
  });
});

it("an XDP mode that the NIC's driver does not have: exit code 3, and what works everywhere", () => {
  const { code, stderr } = xgw(["plan"], example.replace("xdp: native", "xdp: offload"));
  expect({ code, stderr }).toEqual({
    code: 3,
    stderr: expect.stringMatching(/driver of NIC eth0 has no XDP in offload mode; .*`xdp: generic` works on every NIC/),
  });
});

describe("without privilege: exit code 4, what is missing, and nothing changed", () => {
  const without = (capability: string) => ["setpriv", `--bounding-set=-${capability}`, `--inh-caps=-${capability}`];
  for (const command of ["plan", "apply", "run", "status", "teardown"])
    it(command, () => {
      const before = snapshot();
      const { code, stderr } = xgw([command], example, without("all"));
      expect({ code, stderr }).toEqual({
        code: 4,
        stderr: expect.stringContaining("CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF"),
      });
      expect(snapshot()).toBe(before);
    });

  it("only what is missing is named", () => {
    const { code, stderr } = xgw(["plan"], example, without("net_admin"));
    expect({ code, stderr }).toEqual({ code: 4, stderr: "xgw: xgw lacks CAP_NET_ADMIN; run it as root\n" });
  });

  it("validate needs none", () => expect(xgw(["validate"], example, without("all")).code).toBe(0));
});

describe("plan", () => {
  it("exits with 1 when changes are pending, and says for whom and what for, with the place", () => {
    const { code, stdout } = xgw(["plan"], example);
    const lines = stdout.split("\n");
    expect([code, lines[0], lines]).toEqual([
      1,
      expect.stringMatching(new RegExp(`^${instance}: \\d+ steps, 2 tenants new$`)),
      expect.arrayContaining([
        expect.stringMatching(/^ {2}the gateway +\d+ {2}1 datapath, /),
        expect.stringMatching(/^ {2}\+ programs /),
        "  ~ ip rules of ipv4: tenants' tables before the gateway's own addresses",
        "  + inbound rule 0: allow tcp 22".concat(placeBehind(26, 31)),
      ]),
    ]);
  });

  it("--tenant shows one tenant's steps, -v each of them", () => {
    const { stdout } = xgw(["plan", "--tenant", "user2", "-v"], example);
    expect(stdout).toContain("    + nft dnat_to: 2 . 2.2.2.12 : 10.0.0.7\n");
    expect(stdout).not.toContain("user1");
  });

  it("--tenant with a name that nobody has: exit code 2", () => {
    const { code, stderr } = xgw(["plan", "--tenant", "user9"], example);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("there is no tenant user9") });
  });

  it("gives the same as JSON, as docs/output/plan.schema.json says", () => {
    const { code, stdout } = xgw(["plan", "-j"], example);
    const plan = outputSchemas.plan.schema.parse(JSON.parse(stdout));
    expect([code, plan.instance, plan.steps.map(({ kind }) => kind)]).toEqual([
      1,
      instance,
      expect.arrayContaining(["datapath.load", "rule-order.set"]),
    ]);
    expect(plan.tenants[0]?.changes).toContainEqual({
      sign: "+",
      part: "inbound rule",
      item: "0",
      text: "inbound rule 0: allow tcp 22",
      steps: 1,
      place: { file: join(folder, "xgw.yaml"), line: 26 },
    });
  });

  it("changes nothing", () => {
    const before = snapshot();
    xgw(["plan"], example);
    expect(snapshot()).toBe(before);
  });
});

describe("what somebody else has: exit code 5, its name, and it stays", () => {
  const undo: (() => void)[] = [];
  afterEach(() => {
    for (const back of undo.splice(0)) back();
  });

  const refused = (words: RegExp) => {
    const before = snapshot();
    const { code, stderr } = xgw(["plan"], example);
    expect({ code, stderr }).toEqual({ code: 5, stderr: expect.stringMatching(words) });
    expect(snapshot()).toBe(before);
  };

  it("a device under a tenant's name", () => {
    namespace.ip("link", "add", "xgre1000", "type", "veth", "peer", "name", "mine");
    undo.push(() => namespace.ip("link", "del", "xgre1000"));
    refused(/device xgre1000 .* belongs to somebody else/);
  });

  it("an nft table under the instance's name", () => {
    namespace.exec("nft", `table ip xgw_${instance} { chain mine { ; }; }`);
    undo.push(() => namespace.exec("nft", `delete table ip xgw_${instance}`));
    refused(/the nft table ip \S+ was not made by xgw/);
  });

  it("an XDP program on a NIC", () => {
    const foreign = BpfObject.open(objectFile("test-pass.bpf.o")).load();
    const attachment = inNetNamespace(namespace.path, () =>
      foreign.program("pass").attachXdp({ ifindex: interfaceIndex("eth0"), mode: "native" }),
    );
    undo.push(() => {
      attachment.close();
      foreign.close();
    });
    refused(/NIC eth0 runs XDP program \d+, which is not xgw's/);
  });
});

it("teardown of a name that would be a path, or a script: exit code 2", () => {
  for (const name of ["..", "../../x", "a; flush ruleset", ""]) {
    const { code, stderr } = xgw(["teardown", "--instance", name], example);
    expect({ name, code, stderr }).toEqual({ name, code: 2, stderr: expect.stringContaining("is no instance name") });
  }
});

it("teardown of what is not there is done at once", () => {
  const before = snapshot();
  expect(xgw(["teardown"], example).code).toBe(0);
  expect(snapshot()).toBe(before);
});
