/** What verbs print with `-j`, as zod schemas: docs/output/ has them as JSON schemas, and tests hold real output against them. */

import { z } from "zod";
import { formatSchema } from "../../config/json-schema.js";

const id = z.int().nonnegative();
const count = z.number().nonnegative();
const bytes = z.array(z.string().regex(/^0x[0-9a-f]{2}$/)).describe("Bytes, as bpftool has them");
const pinned = z.array(z.string()).optional().describe("With -f: paths in all mounted bpffs");
const pin = z.string().optional().describe("Path of xgw's own pin; missing where somebody has taken it away");
const instance = z.string().describe("The instance of xgw that it belongs to");
const device = z.string().optional().describe("Name of the device, of one in this network namespace");
const tenant = z.string().optional().describe("Name of the tenant whose device it is");

/** bpftool's keys may grow with the kernel. */
const bpftool = z.looseObject;

const program = bpftool({
  id,
  type: z.string(),
  name: z.string().optional(),
  tag: z.string(),
  gpl_compatible: z.boolean(),
  run_time_ns: count.optional().describe("While kernel.bpf_stats_enabled is 1"),
  run_cnt: count.optional().describe("While kernel.bpf_stats_enabled is 1"),
  loaded_at: count.optional().describe("Seconds since 1970"),
  uid: count.optional(),
  bytes_xlated: count,
  jited: z.boolean(),
  bytes_jited: count.optional(),
  bytes_memlock: count,
  map_ids: z.array(id).optional(),
  btf_id: id.optional(),
  pinned,
  xgw: z
    .strictObject({
      instance,
      program: z.string(),
      fingerprint: z.string().optional().describe("Names the build and the constants, 12 hex digits"),
      pin,
      purpose: z.string().optional(),
      attached: z.array(z.strictObject({ attachment: z.string(), device, tenant })),
      ns_per_run: count.optional().describe("Of all runs that were counted, nanoseconds"),
    })
    .optional()
    .describe("Of xgw's programs"),
});

const map = bpftool({
  id,
  type: z.string(),
  name: z.string().optional().describe("At most 15 bytes; xgw.map has all of it"),
  flags: count,
  bytes_key: count,
  bytes_value: count,
  max_entries: count,
  bytes_memlock: count,
  frozen: z.int().optional(),
  btf_id: id.optional(),
  pinned,
  xgw: z
    .strictObject({
      instance,
      map: z.string(),
      pin,
      purpose: z.string().optional(),
      key: z.string().optional().describe("What a key is"),
      value: z.string().optional().describe("What a value is"),
    })
    .optional()
    .describe("Of xgw's maps"),
});

const link = bpftool({
  id,
  type: z.string(),
  prog_id: id.optional(),
  devname: z.string().optional(),
  ifindex: id.optional(),
  attach_type: z.string().optional(),
  pinned,
  xgw: z
    .strictObject({ instance, attachment: z.string(), pin, program: z.string().optional(), device, tenant })
    .optional()
    .describe("Of xgw's links"),
});

const attached = z
  .strictObject({ instance, program: z.string(), attachment: z.string().optional(), tenant })
  .optional()
  .describe("Of xgw's programs");
const onDevice = { devname: z.string(), ifindex: id };

const net = z.tuple([
  z.strictObject({
    xdp: z.array(bpftool({ ...onDevice, mode: z.string().optional(), id: id.optional(), xgw: attached })),
    tc: z.array(bpftool({ ...onDevice, kind: z.string(), xgw: attached })),
    flow_dissector: z.array(bpftool({ id, xgw: attached })),
    netfilter: z.array(bpftool({ pf: z.int(), hook: z.int(), prio: z.int(), flags: z.int(), id, xgw: attached })),
  }),
]);

const values = {
  value: z.unknown().optional(),
  values: z
    .array(z.strictObject({ cpu: z.int(), value: z.unknown() }))
    .optional()
    .describe("Of each CPU"),
};

const element = z.strictObject({
  key: bytes,
  value: bytes.optional(),
  values: z.array(z.strictObject({ cpu: z.int(), value: bytes })).optional(),
  formatted: z
    .strictObject({ key: z.unknown().optional(), ...values })
    .optional()
    .describe("By the map's types, numbers in the machine's order; missing where the kernel has no types"),
  xgw: z
    .strictObject({
      key: z.unknown().optional(),
      way: z.int().optional().describe("Of a flow: its place in the bucket"),
      ...values,
    })
    .optional()
    .describe("Of xgw's maps: addresses as addresses, tenants, devices and reasons by name"),
});

/** One, when words say which and there is one. */
const oneOrAll = (schema: z.ZodType) => z.union([z.array(schema), schema]);

const report = z.strictObject({
  file: z.string(),
  redacted: z.boolean(),
  files: z.int().positive().describe("In the archive, its manifest.json among them"),
  incomplete: z.array(
    z.strictObject({
      file: z.string().describe("In the archive"),
      why: z.string().describe("It tells less than it should"),
    }),
  ),
});

/** By the verb. */
export const outputSchemas = {
  "prog-show": { title: "xgw prog show -j", schema: oneOrAll(program) },
  "map-show": { title: "xgw map show -j", schema: oneOrAll(map) },
  "map-dump": { title: "xgw map dump -j", schema: z.array(element) },
  "map-lookup": { title: "xgw map lookup -j; null when there is no such key", schema: element.nullable() },
  "link-show": { title: "xgw link show -j", schema: oneOrAll(link) },
  report: { title: "xgw report -j", schema: report },
  "net-show": { title: "xgw net show -j", schema: net },
} as const;

export type OutputName = keyof typeof outputSchemas;

export const schemaFile = (name: OutputName): string => `${name}.schema.json`;

/** In JSON schema 2020-12. */
export function outputSchemaText(name: OutputName): string {
  const { title, schema } = outputSchemas[name];
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: "output" });
  return formatSchema({ $schema, title, ...rest });
}
