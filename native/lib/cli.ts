#!/usr/bin/env node
/** The command `libbpf-ts`. */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Btf } from "./btf/btf.js";
import { generate } from "./gen/generate.js";
import { BpfObject } from "./object.js";
import { probeFeatures } from "./probe.js";

const USAGE = `usage:
  libbpf-ts gen OBJECT [-o FILE] [--class NAME] [--type NAME]... [--import MODULE]
      TypeScript types, codecs and a class for an object file
  libbpf-ts spec OBJECT
      what an object file holds, as JSON
  libbpf-ts btf (vmlinux | MODULE | OBJECT.o) [NAME]
      types as C
  libbpf-ts features
      what the running kernel can do, as JSON
`;

function main(args: string[]): number {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      output: { type: "string", short: "o" },
      class: { type: "string" },
      type: { type: "string", multiple: true },
      import: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  const [verb, subject, name] = positionals;
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (verb === "gen" && subject !== undefined) {
    const text = generate(subject, {
      ...(values.class === undefined ? {} : { className: values.class }),
      ...(values.type === undefined ? {} : { types: values.type }),
      ...(values.import === undefined ? {} : { importFrom: values.import }),
    });
    if (values.output === undefined) process.stdout.write(text);
    else writeFileSync(values.output, text);
    return 0;
  }
  if (verb === "spec" && subject !== undefined) {
    using object = BpfObject.open(subject);
    const { maps, programs, variables } = object;
    printJson({ name: object.name, maps, programs, variables });
    return 0;
  }
  if (verb === "btf" && subject !== undefined) {
    process.stdout.write(printBtf(subject, name));
    return 0;
  }
  if (verb === "features") {
    printJson(probeFeatures());
    return 0;
  }
  process.stderr.write(USAGE);
  return 2;
}

function printBtf(subject: string, name: string | undefined): string {
  const btf = readBtf(subject);
  if (name === undefined) return btf.toC();
  return btf.toC(btf.findAll(name).map(({ id }) => id));
}

function readBtf(subject: string): Btf {
  if (subject === "vmlinux") return Btf.vmlinux();
  if (!subject.includes("/") && !subject.endsWith(".o")) return Btf.module(subject);
  using object = BpfObject.open(subject);
  if (object.btf === undefined) throw new Error(`${subject} has no BTF`);
  return object.btf;
}

function printJson(value: unknown): void {
  const plain = (_key: string, v: unknown) => (typeof v === "bigint" ? Number(v) : v);
  process.stdout.write(`${JSON.stringify(value, plain, 2)}\n`);
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`libbpf-ts: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
