/** Why the kernel has dropped a packet: the names of its reasons, as the running kernel numbers them. */

import { Btf } from "libbpf-ts";

const prefix = "SKB_DROP_REASON_";
/** Above these 16 bits are the numbers of subsystems, whose names are in modules. */
let names: ReadonlyMap<number, string> | undefined;

/** Such as `netfilter_drop`; a reason that this kernel does not name is `reason_N`. */
export function dropReason(number: number): string {
  names ??= readNames();
  return names.get(number) ?? `reason_${number}`;
}

function readNames(): ReadonlyMap<number, string> {
  const type = Btf.vmlinux().find("skb_drop_reason", "enum");
  if (type?.kind !== "enum") return new Map();
  return new Map(
    type.values
      .filter(({ name }) => name.startsWith(prefix))
      .map(({ name, value }) => [Number(value), name.slice(prefix.length).toLowerCase()]),
  );
}
