// Run as a user without privilege: what works, and what it says when it does not. Prints JSON.
import { BpfMap, BpfObject, Btf } from "libbpf-ts";

const attempt = (work) => {
  try {
    return { result: work() };
  } catch (error) {
    return { code: error.code, message: error.message };
  }
};

const object = BpfObject.open(process.argv[2]);
const shown = {
  spec: attempt(() => object.maps.length + object.programs.length + object.variables.length),
  set: attempt(() => object.setVariable("verdict", 1).readVariable("verdict")),
  btf: attempt(() => Btf.vmlinux().get("task_struct", "struct").name),
  load: attempt(() => void object.load()),
  create: attempt(() => void BpfMap.create({ type: "hash", name: "m", keySize: 4, valueSize: 4, maxEntries: 1 })),
};
process.stdout.write(JSON.stringify(shown));
