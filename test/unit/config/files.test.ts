import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { directoryOf, head, load, loadAt, tenant } from "./fixture.js";

const alone = `${head}${tenant("a", 1)}`;

/** What is said of a config to root without the capabilities that pass by permissions, as the service has it. */
function problemsUnprivileged(file: string): string {
  const library = new URL("../../../dist/src/config/load.js", import.meta.url).href;
  const script = `import { loadConfig } from ${JSON.stringify(library)};
    console.log((await loadConfig(${JSON.stringify(file)}).catch((error) => error)).problems[0].message);`;
  const caps = ["--bounding-set", "-dac_override,-dac_read_search"];
  const node = [process.execPath, "--input-type=module", "--eval", script];
  return execFileSync("setpriv", [...caps, ...node], { encoding: "utf8" });
}

describe("a main file that cannot be used", () => {
  const cases: [name: string, content: string | Uint8Array, wanted: string][] = [
    ["is empty", "", "xgw.yaml: the file is empty; write a config into it (docs/config.md), or remove it"],
    [
      "is only a comment",
      "# nothing yet\n",
      "xgw.yaml: the file is empty; write a config into it (docs/config.md), or remove it",
    ],
    ["is not UTF-8", new Uint8Array([0xff, 0xfe, 0x41]), "xgw.yaml: the file is not UTF-8 text; save it as UTF-8"],
    [
      "is for another version",
      "apiVersion: xgw/v9\nfuture: true\n",
      'xgw.yaml:1:13: apiVersion: the version is "xgw/v9"; this xgw reads xgw/v1: write that and adapt the file, or use the xgw that the file was written for',
    ],
    [
      "is a list",
      "- 1\n",
      "xgw.yaml:1:1: must be a map of fields, not a list; write its fields: apiVersion, instance, underlay, uplink, nics, host, metrics, flows, limits, tenants",
    ],
    [
      "has a field twice",
      `${alone}instance: again\n`,
      "xgw.yaml:8:1: the same field twice in one map; remove one of them",
    ],
    [
      "has two documents",
      `${alone}---\nmore: 1\n`,
      "xgw.yaml:8:1: more than one YAML document in the file; remove the `---`; further tenants go to tenants.d/",
    ],
    [
      "is indented with tabs",
      "underlay:\n\tdevice: eth0\n",
      "xgw.yaml:2:1: not valid YAML: Tabs are not allowed as indentation; indent with spaces",
    ],
    [
      "has an alias of nothing",
      "apiVersion: xgw/v1\nunderlay: *eth\n",
      "xgw.yaml:2:11: the alias *eth has no anchor before it; put &eth before the value that is meant, or quotes around the text",
    ],
    [
      "is nested without end",
      "[".repeat(100_000),
      "xgw.yaml: the file is nested deeper than 100 levels; no config needs so many: look for unclosed brackets",
    ],
  ];
  it.each(cases)("%s", async (_name, content, wanted) => {
    const { errors } = await load({ "xgw.yaml": content });
    expect(errors[0]).toBe(wanted);
  });

  it("is not there", async () => {
    const { errors } = await loadAt(directoryOf({}));
    expect(errors).toEqual(["xgw.yaml: there is no such file; create it, or name another with -c FILE"]);
  });

  it("is a directory", async () => {
    const { errors } = await loadAt(directoryOf({ "xgw.yaml/other": "" }));
    expect(errors).toEqual(["xgw.yaml: this is a directory; name the YAML file in it"]);
  });

  it("is too large", async () => {
    const { errors } = await load({ "xgw.yaml": Buffer.alloc(64 * 1024 * 1024 + 1, "#") });
    expect(errors).toEqual(["xgw.yaml: the file is larger than 64 MiB; split its tenants over tenants.d/"]);
  });

  it("may not be read", () => {
    const file = join(directoryOf({ "xgw.yaml": alone }), "xgw.yaml");
    chmodSync(file, 0);
    expect(problemsUnprivileged(file)).toBe("the file may not be read (permission denied)\n");
  });
});

describe("tenants.d", () => {
  it("adds its tenants after the main file's, in the order of the names", async () => {
    const { loaded } = await load({
      "xgw.yaml": alone,
      "tenants.d/20.yaml": "name: d\nkey: 4\n",
      "tenants.d/10.yaml": tenant("b", 2) + tenant("c", 3),
    });
    expect(loaded?.config.tenants.map(({ name }) => name)).toEqual(["a", "b", "c", "d"]);
  });

  it("names both places of a clash between two files", async () => {
    const { errors } = await load({
      "xgw.yaml": head.replace("tenants:\n", ""),
      "tenants.d/a.yaml": "name: same\nkey: 7\n",
      "tenants.d/b.yaml": "- name: same\n  key: 7\n",
    });
    expect(errors).toEqual([
      "tenants.d/b.yaml:1:9: [0].name: the name same is taken at tenants.d/a.yaml:1:7; give each tenant a name of its own",
      "tenants.d/b.yaml:2:8: [0].key: the key 7 is same's at tenants.d/a.yaml:2:6; give each tenant a GRE key of its own",
    ]);
  });

  it("may not hold an empty file, so that a write that failed deletes no tenant", async () => {
    const { errors } = await load({ "xgw.yaml": alone, "tenants.d/b.yaml": "" });
    expect(errors).toEqual([
      "tenants.d/b.yaml: the file is empty; write a config into it (docs/config.md), or remove it",
    ]);
  });

  it("does not read hidden files, and points out a .yml", async () => {
    const { warnings } = await load({
      "xgw.yaml": alone,
      "tenants.d/.b.yaml": "broken: [",
      "tenants.d/c.yml": "broken: [",
    });
    expect(warnings).toEqual(["tenants.d/c.yml: the file is ignored; rename it to .yaml"]);
  });

  it("refuses a file that is written like the main one", async () => {
    const { errors } = await load({ "xgw.yaml": alone, "tenants.d/b.yaml": `tenants:\n${tenant("b", 2)}` });
    expect(errors).toEqual([
      'tenants.d/b.yaml:1:1: tenants: the field "tenants" has no place here; a file in tenants.d is one tenant\'s fields or a list of tenants: remove the line and the indentation',
    ]);
  });

  it("reports a link that leads nowhere", async () => {
    const directory = directoryOf({ "xgw.yaml": alone });
    mkdirSync(join(directory, "tenants.d"));
    symlinkSync("/nowhere/at/all.yaml", join(directory, "tenants.d/b.yaml"));
    const { errors } = await loadAt(directory);
    expect(errors).toEqual(["tenants.d/b.yaml: there is no such file; create it, or name another with -c FILE"]);
  });

  it("reports that it is no directory", async () => {
    const directory = directoryOf({ "xgw.yaml": alone });
    writeFileSync(join(directory, "tenants.d"), "");
    const { errors } = await loadAt(directory);
    expect(errors[0]).toMatch(/tenants\.d: cannot be listed/);
  });

  it("reports errors of every file, and clashes among the tenants that are right", async () => {
    const { errors } = await load({
      "xgw.yaml": `${head}${tenant("a", 1)}${tenant("b", 1)}`,
      "tenants.d/x.yaml": "name: x\nkey: -1\n",
      "tenants.d/y.yaml": "name: [\n",
    });
    expect(errors.map((error) => error.split(": ")[0])).toEqual([
      "xgw.yaml:9:8",
      "tenants.d/x.yaml:2:6",
      expect.stringMatching(/^tenants\.d\/y\.yaml:/),
    ]);
  });
});

it("YAML merge keys give tenants a common part, and errors in it the place where it is written", async () => {
  const { errors, loaded } = await load({
    "xgw.yaml": head.replace("tenants:\n", ""),
    "tenants.d/t.yaml": `- &common
  name: a
  key: 1
  limits: { sessions: 5 }
- <<: *common
  name: b
  key: 2
`,
  });
  expect(errors).toEqual([]);
  expect(loaded?.config.tenants[1]?.limits).toEqual({ sessions: 5 });
});
