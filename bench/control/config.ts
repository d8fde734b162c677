/** Configs of many tenants, one file each in tenants.d: 10 routes, 2 public addresses and 4 policy rules a tenant. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface BigConfig {
  /** The main file. */
  readonly file: string;
  /** The file of one tenant, numbered from 0. */
  tenantFile(index: number): string;
}

/** What every tenant has, however many there are. */
export const perTenant = { routes: 10, publicIps: 2, policies: 4 } as const;

/** The config that lies in the folder. */
export function readyConfig(folder: string): BigConfig {
  const tenantFile = (index: number) => join(folder, "tenants.d", `${String(index).padStart(5, "0")}.yaml`);
  return { file: join(folder, "xgw.yaml"), tenantFile };
}

export function writeConfig(folder: string, instance: string, device: string, tenants: number): BigConfig {
  const { file, tenantFile } = readyConfig(folder);
  mkdirSync(join(folder, "tenants.d"), { recursive: true });
  writeFileSync(
    file,
    `apiVersion: xgw/v1\ninstance: ${instance}\nunderlay: { device: ${device}, address: 172.16.0.1 }\n` +
      `nics:\n  - { name: ${device}, xdp: native }\n`,
  );
  for (let index = 0; index < tenants; index++) writeFileSync(tenantFile(index), tenantText(index, 22));
  return { file, tenantFile };
}

const host = (number: number) => `10.0.${number}.7`;

/** One that every tenant has. */
export const tenantRoute = `${host(perTenant.routes - 1)}/32`;

/** @param port TCP, let in: what an edit changes */
export function tenantText(index: number, port: number): string {
  const via = (number: number) => `172.16.${1 + (number % 100)}.${1 + (index % 250)}`;
  const publicIp = (number: number) =>
    `2.${(index * 2 + number) >> 16}.${((index * 2 + number) >> 8) & 255}.${(index * 2 + number) & 255}`;
  const numbers = Array.from({ length: perTenant.routes }, (_, number) => number);
  return [
    `name: tenant-${index}`,
    `key: ${1000 + index}`,
    "addresses: [10.0.0.1/16]",
    "routes:",
    ...numbers.map((number) => `  - { to: ${host(number)}/32, via: ${via(number)} }`),
    "publicIps:",
    ...numbers
      .slice(0, perTenant.publicIps)
      .map((number) => `  - { address: ${publicIp(number)}, to: ${host(number)} }`),
    "policy:",
    `  inbound: [{ allow: tcp, ports: [${port}] }, { allow: icmp }]`,
    "  outbound: [{ deny: tcp, ports: [25] }, { allow: any }]",
    "",
  ].join("\n");
}
