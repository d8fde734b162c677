// What is offered where, by the table of commands.
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { defineCommand } from "../../../../src/cli/command.js";
import { commands } from "../../../../src/cli/commands/index.js";
import { complete } from "../../../../src/cli/completion/complete.js";
import { completionAt } from "../../../../src/cli/completion/line.js";
import { directoryOf, head, tenant } from "../../config/fixture.js";

const offered = async (...words: string[]) => (await complete(words, commands)).map((line) => line.replace(/\t.*/, ""));
const namesAt = (...words: string[]) => completionAt(words, commands).names;

describe("a shell is offered", () => {
  it("every verb with its summary, before anything is typed", async () => {
    expect(await complete([""], commands)).toEqual(commands.map(({ name, summary }) => `${name}\t${summary}`));
  });

  it.each<[words: string[], offered: string[]]>([
    [["fl"], ["flow"]],
    [["-j", "-c", "flow", "fl"], ["flow"]],
    [
      ["flow", ""],
      ["list", "show", "top", "delete"],
    ],
    [["flow", "list", "--ti"], ["--tier"]],
    [
      ["flow", "list", "--tier", ""],
      ["xdp", "flowtable", "stack"],
    ],
    [["flow", "list", "--tier=f"], ["--tier=flowtable"]],
    [["map", "d"], ["dump"]],
    [
      ["completion", ""],
      ["bash", "zsh", "fish"],
    ],
    [["--log-level", "t"], ["trace"]],
    [["status", "--check", "--r"], ["--rules"]],
    [["status", "--instance", "flow", "--ru"], ["--rules"]],
    [["status", "--", "--ru"], []],
    [["status", "nonsense"], []],
  ])("at %j: %j", async (words, expected) => {
    expect(await offered(...words)).toEqual(expected);
  });

  it("every option of a verb, and those of all verbs", async () => {
    expect(await offered("validate", "-")).toEqual([
      ...["--config", "--json", "--pretty", "--verbose", "--log-level", "--help", "--version"],
    ]);
  });

  it("files where a file is wanted, whichever way it is written", async () => {
    for (const words of [
      ["-c", ""],
      ["plan", "--config", "/e"],
      ["plan", "-jc", ""],
      ["plan", "--config=x"],
    ])
      expect(await complete(words, commands)).toEqual([":files"]);
  });
});

describe("names are looked up", () => {
  it.each<[string[], ReturnType<typeof namesAt>]>([
    [["flow", "list", "--tenant", ""], "tenants"],
    [["flow", "show", ""], "tenants"],
    [["status", "--instance="], "instances"],
    [["flow", "top", "--rule", ""], "rules"],
    [["map", "dump", "fl"], "maps"],
    [["prog", "show", ""], "programs"],
    [["link", "show", ""], "attachments"],
    [["flow", "list", "--tier", ""], undefined],
  ])("at %j: %s", (words, kind) => {
    expect(namesAt(...words)).toBe(kind);
  });

  it("of a verb that is added: by the names of its options and places", () => {
    const verb = defineCommand({
      name: "watch",
      summary: "Watches",
      positionalUsage: "<tenant> [device]",
      positionals: { tenant: { type: "string" }, device: { type: "string" } },
      options: { nic: { type: "string" } },
      examples: [],
      async handler() {},
    });
    const at = (...words: string[]) => completionAt(["watch", ...words], [verb]).names;
    expect([at(""), at("a", ""), at("a", "b", ""), at("--nic", "")]).toEqual([
      ...["tenants", "devices", undefined, "devices"],
    ]);
  });

  it("of rules: those of the tenant that the line names, in the words of the config that it names", async () => {
    const policy = "policy: { inbound: [{ allow: tcp, ports: [22] }, { allow: icmp }] }";
    const file = join(directoryOf({ "xgw.yaml": head + tenant("a", 1, policy) }), "xgw.yaml");
    expect(await complete(["-c", file, "flow", "list", "--tenant", "a", "--rule", "in"], commands)).toEqual([
      "inbound:0\tallow tcp 22",
      "inbound:1\tallow icmp",
    ]);
  });

  it("without an error where there is no such config", async () => {
    expect(await complete(["-c", "/nowhere", "flow", "list", "--tenant", "a", "--rule", ""], commands)).toEqual([]);
  });
});
