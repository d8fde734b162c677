import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runCli } from "../../../src/cli/cli.js";
import { type Command, defineCommand } from "../../../src/cli/command.js";
import { commands } from "../../../src/cli/commands/index.js";
import { ForeignError } from "../../../src/errors.js";
import { directoryOf, head, tenant } from "../config/fixture.js";

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function xgw(argv: readonly string[], among: readonly Command[] = commands): Promise<Run> {
  const stdout: string[] = [];
  const stderr: string[] = [];
  const code = await runCli(argv, among, {
    stdout: { write: (text) => stdout.push(text), columns: 100 },
    stderr: { write: (text) => stderr.push(text) },
    env: {},
    outputClosed: new AbortController().signal,
    program: ["xgw"],
  });
  return { code, stdout: stdout.join(""), stderr: stderr.join("") };
}

/** A command that throws, or prints its arguments. */
function commandThat(act: (args: { readonly count: number | undefined }) => number): Command {
  return defineCommand({
    name: "act",
    summary: "Does something",
    options: { count: { type: "number", describe: "How often" } },
    examples: [["xgw act --count 2", "twice"]],
    async handler(args, context) {
      context.print(`count ${act(args)}`);
    },
  });
}

describe("a command line that cannot be understood is exit code 2 and says what was meant", () => {
  it.each([
    [[], "xgw: no command given; xgw --help says more\n"],
    [["vlidate"], 'xgw: there is no command "vlidate"; did you mean "validate"?\n'],
    [["validate", "--jsno"], 'xgw: there is no option or argument "jsno" here; did you mean --json?\n'],
    [["validate", "-c"], "xgw: -c needs a value; xgw --help says more\n"],
    [["validate", "extra"], "xgw: there are too many arguments; xgw --help says more\n"],
  ])("xgw %j", async (argv, stderr) => {
    expect(await xgw(argv)).toEqual({ code: 2, stdout: "", stderr });
  });

  it("with -j the error is JSON on stdout", async () => {
    const { stdout } = await xgw(["-j", "vlidate"]);
    expect(JSON.parse(stdout)).toEqual({
      ok: false,
      error: { code: "XGW_USAGE", message: 'there is no command "vlidate"', remedy: 'did you mean "validate"?' },
    });
  });
});

describe("help", () => {
  it.each([[], ...commands.map(({ name }) => [name])])(
    "xgw %s --help has characters of one column only",
    async (...argv) => {
      // package/text-width.mjs counts characters when it lays the text out.
      const { stdout } = await xgw([...argv, "--help"]);
      expect(stdout).toMatch(/^[\n\x20-\x7e]+$/);
    },
  );

  it("lists every command with its summary", async () => {
    const { code, stdout } = await xgw(["--help"]);
    const missing = commands.filter(
      ({ name, summary }) => !stdout.includes(`xgw ${name}`) || !stdout.includes(summary),
    );
    expect([code, missing]).toEqual([0, []]);
  });

  it("of a command shows its examples", async () => {
    const { stdout } = await xgw(["act", "--help"], [commandThat(() => 0)]);
    expect(stdout).toMatch(/xgw act --count 2\s+twice/);
  });

  it("-V prints the version alone", async () => {
    expect((await xgw(["-V"])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe("a command", () => {
  it("gets its options parsed", async () => {
    const { stdout } = await xgw(["act", "--count", "3"], [commandThat(({ count }) => count ?? 0)]);
    expect(stdout).toBe("count 3\n");
  });

  it("ends with the exit code of what it throws, and the remedy on stderr", async () => {
    const act = commandThat(() => {
      throw new ForeignError("eth0 has an XDP program that is not ours (id 7)", { remedy: "detach it" });
    });
    expect(await xgw(["act"], [act])).toEqual({
      code: 5,
      stdout: "",
      stderr: "xgw: eth0 has an XDP program that is not ours (id 7); detach it\n",
    });
  });

  it("that breaks by a bug says so, with the stack", async () => {
    const act = commandThat(() => {
      throw new TypeError("undefined is not a function");
    });
    const { code, stderr } = await xgw(["act"], [act]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("This is a bug in xgw:\nTypeError")]);
  });
});

describe("xgw validate", () => {
  const right = head + tenant("a", 1);
  const wrong = head + tenant("a", 1) + tenant("a", 1, "limits: { sessions: 0 }") + tenant("b", 1);
  const validate = (text: string, ...flags: string[]) =>
    xgw(["validate", "-c", join(directoryOf({ "xgw.yaml": text }), "xgw.yaml"), ...flags]);

  it("counts the tenants of a right config", async () => {
    const { code, stdout, stderr } = await validate(right);
    expect([code, stdout.replace(/^.*: /, ""), stderr]).toEqual([0, "valid, 1 tenant\n", ""]);
  });

  it("prints warnings on stderr and is still content", async () => {
    const { code, stdout, stderr } = await validate(`${head}- { name: a, key: 1 }\n`);
    expect([code, stdout.replace(/^.*: /, ""), stderr]).toEqual([
      0,
      "valid, 1 tenant, 1 warning\n",
      expect.stringContaining("xgw.yaml:5:3: warning: tenants[0]: a has no routes"),
    ]);
  });

  it("prints every error on stderr, and how many there are", async () => {
    const { code, stdout, stderr } = await validate(wrong);
    const lines = stderr.trimEnd().split("\n");
    expect([code, stdout, lines.length, lines.at(-1)]).toEqual([2, "", 3, "xgw: the config is refused: 2 errors"]);
  });

  it("with -j prints one JSON value and nothing else", async () => {
    const { code, stdout, stderr } = await validate(wrong, "-j");
    expect([code, stderr, JSON.parse(stdout)]).toEqual([
      2,
      "",
      {
        ok: false,
        errors: [
          {
            file: expect.stringMatching(/xgw\.yaml$/),
            line: 11,
            column: 23,
            path: "tenants[1].limits.sessions",
            message: "0 is out of range",
            remedy: "write a whole number from 1 to 4294967295",
          },
          expect.objectContaining({ line: 13, path: "tenants[2].key" }),
        ],
        warnings: [],
      },
    ]);
  });

  it("with -p the JSON is indented", async () => {
    expect((await validate(right, "-p")).stdout).toBe('{\n  "ok": true,\n  "errors": [],\n  "warnings": []\n}\n');
  });
});
