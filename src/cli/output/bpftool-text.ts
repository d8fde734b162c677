/** The JSON of what is loaded as bpftool's text, each with a line of xgw's own. */

import type { Shown, ShownNet } from "../../datapath/inspect/shown.js";

type Values = Readonly<Record<string, unknown>>;

const list = (value: unknown): string => (value as readonly unknown[]).join(",");
const has = (value: unknown): boolean => value !== undefined;
/** Words that are there, with two blanks between. */
const words = (...parts: readonly (string | false)[]): string => parts.filter(Boolean).join("  ");
const pinnedLines = ({ pinned = [] }: Values): string[] => (pinned as string[]).map((path) => `\tpinned ${path}`);

export function programLines(shown: Shown): string[] {
  const { id, type, name, tag, gpl_compatible, run_time_ns, run_cnt, recursion_misses, dev, loaded_at, uid } = shown;
  const runs = has(run_time_ns) ? ` run_time_ns ${run_time_ns} run_cnt ${run_cnt}` : "";
  const misses = has(recursion_misses) ? ` recursion_misses ${recursion_misses}` : "";
  const licence = gpl_compatible === true ? "gpl" : "";
  const head = words(`${id}: ${type}`, has(name) && `name ${name}`, `tag ${tag}`, licence);
  return [
    `${head}${runs}${misses}${offloaded(dev)}`,
    ...(has(loaded_at) ? [`\tloaded_at ${localTime(Number(loaded_at))}  uid ${uid}`] : []),
    `\t${words(
      `xlated ${shown.bytes_xlated}B`,
      shown.jited === true ? `jited ${shown.bytes_jited}B` : "not jited",
      `memlock ${shown.bytes_memlock}B`,
      has(shown.map_ids) && `map_ids ${list(shown.map_ids)}`,
    )}`,
    ...pinnedLines(shown),
    ...(has(shown.btf_id) ? [`\tbtf_id ${shown.btf_id}`] : []),
    ...ownLines(shown, ({ program, purpose, attached, ns_per_run }) => [
      String(purpose ?? program),
      ...(has(ns_per_run) ? [`${ns_per_run} ns per run`] : []),
      ...attachedWords(attached as readonly Values[]),
    ]),
  ];
}

/** So many are named; there may be thousands. */
const namedAttachments = 8;

function attachedWords(attached: readonly Values[]): string[] {
  if (attached.length === 0) return ["not attached"];
  if (attached.length > namedAttachments) return [`attached ${attached.length} times: see xgw link show`];
  return [`attached as ${attached.map(({ attachment, tenant }) => `${attachment}${ofTenant(tenant)}`).join(", ")}`];
}

const ofTenant = (tenant: unknown) => (has(tenant) ? ` (${tenant})` : "");
const offloaded = (dev: unknown) => (has(dev) ? `  offloaded_to ${(dev as Values).ifname ?? "ifindex"}` : "");

export function mapLines(shown: Shown): string[] {
  const { id, type, name, flags, dev, btf_id, frozen, owner_prog_type, owner_jited } = shown;
  const isFrozen = frozen === 1;
  return [
    `${words(`${id}: ${type}`, has(name) && `name ${name}`, `flags 0x${Number(flags).toString(16)}`)}${offloaded(dev)}`,
    `\t${words(`key ${shown.bytes_key}B`, `value ${shown.bytes_value}B`, `max_entries ${shown.max_entries}`, `memlock ${shown.bytes_memlock}B`)}`,
    ...(has(owner_prog_type)
      ? [`\t${words(`owner_prog_type ${owner_prog_type}`, `owner ${owner_jited ? "jited" : "not jited"}`)}`]
      : []),
    ...pinnedLines(shown),
    ...(has(btf_id) || isFrozen ? [`\t${words(has(btf_id) && `btf_id ${btf_id}`, isFrozen && "frozen")}`] : []),
    ...ownLines(shown, ({ map, purpose, key, value }) => [
      `${map}${has(purpose) ? `: ${purpose}` : ""}`,
      ...(has(key) && key !== "" ? [`key: ${key}`, `value: ${value}`] : []),
    ]),
  ];
}

/** linux/netfilter.h; bpftool's words. */
const families: Readonly<Record<number, string>> = {
  0: "unspec",
  1: "inet",
  2: "ip",
  3: "arp",
  5: "netdev",
  7: "bridge",
  10: "ip6",
};
const hooks = ["prerouting", "input", "forward", "output", "postrouting"] as const;

function netfilterWords({ pf, hook, prio, flags }: Values): string {
  const family = families[Number(pf)] ?? `pf: ${pf}`;
  const place = hooks[Number(hook)] ?? `hook ${hook}`;
  return `${family} ${place} prio ${prio}${flags === 0 ? "" : ` flags 0x${Number(flags).toString(16)}`}`;
}

export function linkLines(shown: Shown): string[] {
  const { id, type, prog_id, tp_name, ifindex, devname, attach_type, prog_type, target_obj_id, target_btf_id } = shown;
  const place = words(
    has(prog_type) && `prog_type ${prog_type}`,
    has(ifindex) && `ifindex ${devname}(${ifindex})`,
    has(attach_type) && `attach_type ${attach_type}`,
  );
  return [
    `${id}: ${type}  ${has(prog_id) ? `prog ${prog_id}  ` : ""}`,
    ...(has(tp_name) ? [`\ttp '${tp_name}'  `] : []),
    ...(has(shown.pf) ? [`\t${netfilterWords(shown)}`] : []),
    ...(place === "" ? [] : [`\t${place}  `]),
    ...(has(target_btf_id) ? [`\ttarget_obj_id ${target_obj_id}  target_btf_id ${target_btf_id}  `] : []),
    ...pinnedLines(shown),
    ...ownLines(shown, ({ attachment, program, device, tenant }) => [
      `${attachment}${has(program) ? ` runs ${program}` : ""}${has(device) ? ` on ${device}` : ""}${ofTenant(tenant)}`,
    ]),
  ];
}

export function netLines({ xdp, tc, flow_dissector, netfilter }: ShownNet): string[] {
  const own = (shown: Shown) =>
    ownLines(shown, ({ attachment, program, tenant }) => [`${attachment ?? "?"} runs ${program}${ofTenant(tenant)}`]);
  const section = (title: string, entries: readonly Shown[], line: (shown: Shown) => string) => [
    `${title}:`,
    ...entries.flatMap((shown) => [line(shown), ...own(shown)]),
    "",
  ];
  return [
    ...section("xdp", xdp, ({ devname, ifindex, mode, id, multi_attachments }) => {
      const several = (multi_attachments ?? [{ mode, id }]) as readonly Values[];
      return `${devname}(${ifindex}) ${several.map((one) => `${one.mode} id ${one.id}`).join(" ")}`;
    }),
    ...section("tc", tc, ({ devname, ifindex, kind, name, id, prog_id, link_id }) =>
      [
        `${devname}(${ifindex}) ${kind}${has(name) ? ` ${name}` : ""}`,
        ...(has(id) ? [`id ${id}`] : []),
        ...(has(prog_id) ? [`prog_id ${prog_id}`] : []),
        ...(has(link_id) ? [`link_id ${link_id}`] : []),
      ].join(" "),
    ),
    ...section("flow_dissector", flow_dissector, ({ id }) => `id ${id}`),
    ...section("netfilter", netfilter, (shown) => `\t${netfilterWords(shown)} prog_id ${shown.id}`),
  ].slice(0, -1);
}

/** `xgw <instance>: …`, where it is xgw's. */
function ownLines({ xgw }: Shown, tell: (known: Values) => readonly string[]): string[] {
  if (!xgw) return [];
  const [first = "", ...others] = tell(xgw);
  return [`\txgw ${xgw.instance}: ${first}`, ...others.map((line) => `\t    ${line}`)];
}

/** As `date +%FT%T%z` has it. */
function localTime(seconds: number): string {
  const time = new Date(seconds * 1000);
  const east = -time.getTimezoneOffset();
  const two = (value: number) => String(Math.trunc(value)).padStart(2, "0");
  const zone = `${east < 0 ? "-" : "+"}${two(Math.abs(east) / 60)}${two(Math.abs(east) % 60)}`;
  return `${new Date(time.getTime() + east * 60_000).toISOString().slice(0, 19)}${zone}`;
}

const tabWidth = 8;

/** Lines that a terminal has no room for go on in the next, after a comma or two blanks, where they can. */
export function fold(lines: readonly string[], columns: number | undefined): string[] {
  if (columns === undefined) return [...lines];
  const width = (text: string) => text.replaceAll("\t", " ".repeat(tabWidth)).length;
  return lines.flatMap((line) => {
    const folded: string[] = [];
    let rest = line;
    while (width(rest) > columns) {
      const room = columns - (width(rest) - rest.length);
      const start = rest.search(/[^\t ]/);
      const at = Math.max(...[",", " "].map((mark) => rest.lastIndexOf(mark, room - 1)));
      if (at <= start) break;
      folded.push(rest.slice(0, at + 1).trimEnd());
      rest = `\t\t${rest.slice(at + 1).trimStart()}`;
    }
    return [...folded, rest];
  });
}
