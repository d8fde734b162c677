/** How large the programs of the data path are, and what the verifier had to do for them. */
import { type BpfObject, setLogHandler } from "libbpf-ts";
import { openObject } from "./objects.js";
import type { Figure, Section } from "./section.js";

/** BPF_LOG_STATS of the kernel's bpf_verifier.h */
const statistics = 4;
const objects = ["xdp", "tc"];

/** Bytes of stack, functions that are calls included: the verifier writes them as "stack depth 224+64". */
function stackDepth(log: string): number | undefined {
  const depths = /^stack depth ([\d+]+)/m.exec(log)?.[1]?.split("+").map(Number);
  return depths?.reduce((sum, depth) => sum + depth, 0);
}

/** The verifier's log of each program, which libbpf prints among its debug messages. */
function loadWithLogs(object: BpfObject): Map<string, string> {
  const logs = new Map<string, string>();
  for (const { name } of object.programs) object.setLogLevel(name, statistics);
  setLogHandler(
    (_level, text) => {
      const name = /prog '([^']+)': -- BEGIN PROG LOAD LOG --/.exec(text)?.[1];
      if (name) logs.set(name, text);
    },
    { debug: true },
  );
  try {
    object.load();
  } finally {
    setLogHandler(undefined);
  }
  return logs;
}

function sizesOf(object: BpfObject): Figure[] {
  const logs = loadWithLogs(object);
  return object.programs.flatMap(({ name }) => {
    const { info } = object.program(name);
    const figure = (what: string, value: number | undefined, unit: string): Figure[] =>
      value === undefined ? [] : [{ name: what, at: name, value, unit, better: "less" }];
    return [
      ...figure("instructions", info.xlatedLength / 8, ""),
      ...figure("machine code", info.jitedLength, "bytes"),
      ...figure("stack, the sum of all functions'", stackDepth(logs.get(name) ?? ""), "bytes"),
      ...figure("instructions verified", info.verifiedInstructions, ""),
    ];
  });
}

export const sizes: Section = {
  id: "sizes",
  title: "Size of the programs",
  run: async () => ({
    text: [
      "As the kernel has them loaded, with the default settings. The verifier refuses a program with more than 1,000,000 " +
        "verified instructions, or with more than 512 bytes of stack along one chain of calls; the sum here is over all " +
        "functions, and so at least that.",
    ],
    figures: objects.flatMap((name) => {
      const object = openObject(name);
      try {
        return sizesOf(object);
      } finally {
        object.close();
      }
    }),
    gates: [],
    plots: {},
  }),
};
