/** Which names a redacted report must not have: from the config, be it refused or not, and from the machine. */

import { hostname } from "node:os";
import { basename } from "node:path";
import type { Name, NameKind } from "./redact.js";

/** What they are, by the member of the config that has them. */
const members: Readonly<Record<string, NameKind>> = { name: "tenant", device: "device", instance: "instance" };

export interface NameSources {
  /** Of the config's files, by path. */
  readonly configs: ReadonlyMap<string, string>;
  readonly links: readonly { readonly name: string; readonly alias?: string | undefined }[];
  /** What `ip -d link` shows, for the other names that devices have. */
  readonly shownLinks: string;
}

export function namesIn({ configs, links, shownLinks }: NameSources): Name[] {
  const devices = [
    ...links.map(({ name }) => name),
    ...[...shownLinks.matchAll(/^ +altname (\S+)/gm)].map(([, name = ""]) => name),
  ];
  const inConfig = [...configs.values()].flatMap((text) =>
    [...text.matchAll(/\b(name|device|instance)["']?\s*:\s*(?:&\S+\s+)?["']?([A-Za-z0-9._-]+)/g)].map(
      ([, member = "", name = ""]): Name => ({ name, kind: members[member] ?? "tenant" }),
    ),
  );
  const host = hostname();
  const names: Name[] = [
    ...inConfig,
    ...links.flatMap(({ alias = "" }): Name[] => {
      const [, instance, tenant] = /^xgw\/([^/]+)\/(.+)$/.exec(alias) ?? [];
      if (instance === undefined || tenant === undefined) return [];
      return [
        { name: instance, kind: "instance" },
        { name: tenant, kind: "tenant" },
      ];
    }),
    ...devices.map((name): Name => ({ name, kind: "device" })),
    ...[host, host.split(".")[0] ?? ""].map((name): Name => ({ name, kind: "host" })),
    ...[...configs.keys()].map((path): Name => ({ name: basename(path).replace(/\.ya?ml$/, ""), kind: "file" })),
  ];
  // What a NIC is called stands under `name` as well as a tenant's name.
  const known = new Set(devices);
  return names
    .map((one): Name => (known.has(one.name) ? { ...one, kind: "device" } : one))
    .filter((one) => !isPlain(one));
}

/** Says nothing of anybody, or but a tenant's key. */
function isPlain({ name, kind }: Name): boolean {
  switch (kind) {
    case "device":
      return name === "lo" || /^x(gre|vrf)\d+$/.test(name);
    case "instance":
      return name === "default" || name === "xgw";
    case "host":
      return name === "localhost";
    case "file":
      return name === "xgw" || name === "config";
    case "tenant":
      return false;
  }
}
