/** Which libbpf the bindings have. */

export { libbpfVersion as libraryVersion } from "libbpf-ts";
