// docs/limits.md has a row for each thing that tenants share, in words and numbers that are the code's.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { jsonSchema } from "../../src/config/json-schema.js";
import { checkConfigValue } from "../../src/config/load.js";
import { reasons } from "../../src/datapath/reasons.js";
import { noLosses } from "../../src/datapath/shares.js";
import { lossName } from "../../src/metrics.js";
import { buildDesired } from "../../src/model/build.js";
import { eventPlaces, rulePool, ruleSlots, templatePlaces, templatePool } from "../../src/model/desired.js";
import { fragmentLimits } from "../../src/model/fragments.js";
import { kernelTables } from "../../src/model/kernel-tables.js";
import { maxPolicyCells, maxPolicyCellsInAll } from "../../src/model/policy.js";
import { resources } from "../../src/model/shares.js";
import { hostQuotas, refusalSets, strangeHosts } from "../../src/plan/rules.js";

const read = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");
const text = read("limits.md");
const rows = [...text.matchAll(/^\| ([^|`]+) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \| (.*?) ?\|$/gm)]
  .map(([, resource = "", capacity = "", share = "", key = "", atLimit = "", counted = ""]) => ({
    ...{ resource, capacity, share, key, atLimit, counted },
  }))
  .filter(({ resource }) => resource !== "resource");
const rowOf = (resource: string) => rows.find((row) => row.resource === resource);
const marked = (cell: string) => [...cell.matchAll(/`(\w+)`/g)].map(([, word]) => word);

describe("docs/limits.md", () => {
  it("has a row for everything that is shared", () => {
    expect(rows.map(({ resource }) => resource)).toEqual([
      "conntrack entries",
      "new connections a second",
      "lines of the flow table",
      "neighbour entries",
      "neighbour entries on the sides' NICs",
      "hosts on the sides that the machine itself sends to",
      "conntrack entries of the machine itself",
      "memory for fragments",
      "header templates",
      "slots of rules",
      "pieces of policies",
      "pages of policies",
      "places in the events ring",
      "the daemon's work",
      "remembered link-layer addresses",
    ]);
  });

  it("names each key of a tenant's limits once", () => {
    const keys = rows.flatMap(({ key }) => (key.startsWith("`") ? [key.replaceAll("`", "")] : []));
    expect(keys.sort()).toEqual(resources.map((resource) => `limits.${resource}`).sort());
  });

  it("names no key of the gateway that the config does not have", () => {
    const { properties } = jsonSchema("config") as { properties: Record<string, { properties?: object }> };
    const known = [
      ...Object.keys(properties),
      ...Object.keys(properties.limits?.properties ?? {}).map((key) => `limits.${key}`),
    ];
    const named = rows.flatMap(({ capacity }) => [...capacity.matchAll(/`([\w.]+)`/g)].map(([, key]) => key));
    expect(named.filter((key) => !known.includes(key as string))).toEqual([]);
  });

  it("has the numbers of the code", () => {
    expect(Number.parseInt(rowOf("header templates")?.capacity ?? "", 10)).toBe(templatePlaces / 2);
    expect(Number.parseInt(rowOf("slots of rules")?.capacity ?? "", 10)).toBe(ruleSlots / 2);
    expect(rowOf("header templates")?.atLimit).toContain(`fewer than ${templatePool}`);
    expect(rowOf("slots of rules")?.atLimit).toContain(`fewer than ${rulePool}`);
    expect(Number.parseInt(rowOf("places in the events ring")?.capacity ?? "", 10)).toBe(eventPlaces);
    expect(Number.parseInt(rowOf("pieces of policies")?.capacity ?? "", 10)).toBe(maxPolicyCellsInAll);
    expect(Number.parseInt(rowOf("neighbour entries on the sides' NICs")?.capacity ?? "", 10)).toBe(
      kernelTables.neighbours.reserve,
    );
    const host = rowOf("conntrack entries of the machine itself");
    expect(Number.parseInt(host?.capacity ?? "", 10)).toBe(kernelTables.sessions.reserve);
    const { usual, other } = hostQuotas;
    expect(host?.share).toContain(
      `of each of IPv4 and IPv6 ${usual.perSecond} new connections a second by underlay and uplink, ${other.perSecond} of`,
    );
    expect(host?.share).toContain(`${usual.burst} and ${other.burst} at once`);
    const { perSecond, burst, most, seconds } = strangeHosts;
    expect(rowOf("hosts on the sides that the machine itself sends to")?.share).toBe(
      `of each side: ${burst} next hops at once, then ${perSecond} a second; ${most} within ${seconds} s`,
    );
    const kib = (bytes: number) => `${bytes / 1024} KiB`;
    const fragments = rowOf("memory for fragments");
    expect(fragments?.capacity).toContain(kib(fragmentLimits.pool));
    expect(fragments?.share).toBe(
      `${kib(fragmentLimits.share)} of each tenant, ${kib(fragmentLimits.nicShare)} of each NIC`,
    );
    expect(rowOf("pieces of policies")?.share).toContain(String(maxPolicyCells));
  });

  it("says what a tenant's share is when the config is silent, as the code shares out", () => {
    const tenants = Array.from({ length: 100 }, (_, n) => ({ name: `t${n}`, key: n }));
    const underlay = { device: "eth0", address: "172.168.0.1" };
    const { config } = checkConfigValue({ apiVersion: "xgw/v1", underlay, tenants });
    const { shares, capacities } = buildDesired(config);
    const shareOf = (resource: string) =>
      Number(
        rowOf(resource)
          ?.share.match(/100 tenants (\d+)|and 100 (\d+)/)
          ?.slice(1)
          .join(""),
      );
    expect({
      sessions: shareOf("conntrack entries"),
      newPerSecond: shareOf("new connections a second"),
      flows: shareOf("lines of the flow table"),
      templates: shareOf("header templates"),
      rules: shareOf("slots of rules"),
      eventsPerSecond: shareOf("places in the events ring"),
      neighbours: shareOf("neighbour entries"),
    }).toEqual(shares);
    for (const name of ["sessions", "newPerSecond", "neighbours", "flows"] as const)
      expect(text).toContain(`of ${capacities[name]} `);
    expect(text).toContain(`; ${kernelTables.sessions.floor} at least`);
    expect(text).toContain(`; ${kernelTables.neighbours.floor} at least`);
  });

  it("has a story of one who asks for ten times its share, of each row that packets take of", () => {
    const folder = new URL("../e2e/long/", import.meta.url);
    const told = readdirSync(folder)
      .map((name) => readFileSync(new URL(name, folder), "utf8"))
      .join();
    const elsewhere = [
      "hosts on the sides that the machine itself sends to",
      "pieces of policies",
      "pages of policies",
      "the daemon's work",
    ];
    const untold = rows
      .map(({ resource }) => resource)
      .filter((name) => !told.includes(`"${name}"`) && !told.includes(`"${name}: `));
    expect(untold).toEqual(elsewhere);
  });

  it("lets the machine's own connections not take more than is kept for them", () => {
    const most = ({ perSecond, burst }: { perSecond: number; burst: number }, seconds: number) =>
      burst + perSecond * seconds;
    const families = 2;
    expect(families * (most(hostQuotas.usual, 300) + most(hostQuotas.other, 600))).toBeLessThanOrEqual(
      kernelTables.sessions.reserve,
    );
  });

  it("names every loss that is counted, and reasons that there are", () => {
    const named = rows.flatMap(({ counted }) => (counted.startsWith("loss") ? marked(counted) : []));
    expect(named.sort()).toEqual(Object.keys(noLosses).map(lossName).sort());
    const reasonsNamed = rows.flatMap(({ counted }) => (counted.startsWith("reason") ? marked(counted) : []));
    const known = [...reasons.map(({ name }) => name), ...Object.keys(refusalSets)];
    expect(reasonsNamed.filter((name) => !known.includes(name as string))).toEqual([]);
  });

  it("is where the other documents lead to", () => {
    for (const name of ["../README.md", "config.md", "daemon.md"]) expect(read(name)).toContain("limits.md");
  });

  it("names metrics that docs/daemon.md has", () => {
    const named = [...new Set(text.match(/xgw_\w+/g))];
    expect(named.filter((name) => !read("daemon.md").includes(`\`${name}\``))).toEqual([]);
  });
});
