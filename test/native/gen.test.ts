/** The generator: its output is checked in (types.gen.ts), compiles with the tests, works, and does not drift. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { generate } from "libbpf-ts";
import { expect, test } from "vitest";
import { objectFile } from "./support/compile.js";
import { failure } from "./support/kernel.js";
import { Types } from "./types.gen.js";

const cli = fileURLToPath(new URL("../../native/dist/cli.js", import.meta.url));
const checkedIn = fileURLToPath(new URL("types.gen.ts", import.meta.url));

test("the checked-in types are what the generator writes today", () => {
  const fresh = execFileSync(process.execPath, [cli, "gen", objectFile("types"), "--type", "color"], {
    encoding: "utf8",
  });
  expect(fresh, `drifted: libbpf-ts gen … --type color -o ${checkedIn}`).toBe(readFileSync(checkedIn, "utf8"));
});

test("the generated class opens, sets, loads, runs and reads with types", () => {
  using types = Types.open(objectFile("types"))
    .set({ chosen: { address: 1, port: 99, protocol: 6, pad: 0 } })
    .load();
  const port = types.programs.port_of_chosen.testRun({ data: Buffer.alloc(64) }).retval;
  types.programs.write.testRun({ data: Buffer.alloc(64) });
  const [element] = types.maps.types.entries();
  const color: "RED" | "GREEN" | "BLUE" | number | undefined = element?.[1].color;
  expect([port, element?.[0].port, element?.[1].u64, color, types.get("chosen").port]).toEqual([
    99,
    80,
    0xfedcba9876543210n,
    "BLUE",
    99,
  ]);
});

test("what the generated codecs write is byte for byte what the compiler makes of it", () => {
  using types = Types.open(objectFile("types")).load();
  types.programs.write.testRun({ data: Buffer.alloc(64) });
  const [element] = types.maps.types.entries();
  if (element === undefined) throw new Error("the program wrote nothing");
  const [key, value] = element;
  types.maps.types.delete(key);
  types.maps.types.set(key, value);
  expect(types.programs.compare.testRun({ data: Buffer.alloc(64) }).retval - 1, "first byte that differs").toBe(-1);
});

test("a type that the object does not have is refused", () => {
  expect(failure(() => generate(objectFile("types"), { types: ["nothing"] })).message).toBe(
    "generate from types: it has no struct, union or enum nothing (EINVAL)",
  );
});

test("the command says how it is used, with status 2", () => {
  let status: number | null = 0;
  try {
    execFileSync(process.execPath, [cli, "bake"], { stdio: "pipe" });
  } catch (error) {
    status = (error as { status: number }).status;
  }
  expect(status).toBe(2);
});

test("the command shows an object file's content", () => {
  const text = execFileSync(process.execPath, [cli, "spec", objectFile("basic")], { encoding: "utf8" });
  const spec = JSON.parse(text) as { maps: { name: string }[] };
  expect(spec.maps.map(({ name }) => name)).toContain("flows");
});
