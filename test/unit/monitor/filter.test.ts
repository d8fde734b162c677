import { describe, expect, it } from "vitest";
import { type EventWords, eventFilter } from "../../../src/monitor/filter.js";
import type { MonitorEvent } from "../../../src/monitor/schema.js";

const time = "2026-12-01T05:17:21.123456Z";
const tenants = [
  { id: 1, key: 1000, name: "user1" },
  { id: 2, key: 2000, name: "user2" },
];
const packet = { protocol: "tcp", source: "1.1.1.7", sourcePort: 40_000, destination: "2.2.2.11", destinationPort: 22 };
const events: Readonly<Record<string, MonitorEvent>> = {
  drop: { kind: "drop", time, tenant: "user1", key: 1000, by: "xgw", reason: "policy", packet, bytes: 98 },
  stranger: { kind: "drop", time, key: 1000, by: "xgw", reason: "unknown_key", bytes: 98 },
  byNft: {
    kind: "drop",
    time,
    tenant: "user2",
    key: 2000,
    by: "kernel",
    reason: "netfilter_drop",
    verdict: "policy",
    bytes: 9,
  },
  flow: {
    ...{ kind: "flow_born", time, tenant: "user2", key: 2000, reason: "learned", meaning: "", arrivesBy: "gre" },
    packet: { ...packet, protocol: "udp", source: "9.9.9.9" },
  },
  daemon: { kind: "config", time, what: "a config is applied" },
  leftOut: { kind: "left_out", time, drops: [], kernelDrops: 1, eventsLost: 0 },
};
const shown = (words: EventWords) => {
  const filter = eventFilter(words, tenants);
  return Object.entries(events).flatMap(([name, event]) => (filter(event) ? [name] : []));
};

describe("what is shown", () => {
  const stories: readonly (readonly [string, EventWords, readonly string[]])[] = [
    ["is everything when nothing is said", {}, Object.keys(events)],
    ["of a tenant is its own, and what was left out", { tenant: "user1" }, ["drop", "leftOut"]],
    ["of a kind is of that kind", { kind: ["flow"] }, ["flow"]],
    ["with a reason has it, or nft's verdict", { reason: ["policy"] }, ["drop", "byNft", "leftOut"]],
    ["of a network has an end there", { net: "1.1.1.0/24" }, ["drop", "leftOut"]],
    ["with a port has it at either end", { port: 22 }, ["drop", "flow", "leftOut"]],
    ["of a protocol is of it, by its number, too", { protocol: "17" }, ["flow", "leftOut"]],
  ];
  it.each(stories)("%s", (_name, words, names) => {
    expect(shown(words)).toEqual(names);
  });
});

describe("refused are", () => {
  const mistakes: readonly (readonly [EventWords, string])[] = [
    [{ kind: ["drops"] }, "--kind drops is no kind of event"],
    [{ tenant: "nobody" }, 'there is no tenant "nobody"'],
    [{ port: 70_000 }, "--port 70000 is no port"],
  ];
  it.each(mistakes)("%j", (words, message) => {
    expect(() => eventFilter(words, tenants)).toThrow(message);
  });
});

describe("of what was left out", () => {
  const drops = [
    { tenant: "user1", key: 1000, reason: "policy", packets: 3 },
    { tenant: "user2", key: 2000, reason: "quota", packets: 5 },
  ];
  const left = (words: EventWords) => {
    const event = eventFilter(words, tenants)({ kind: "left_out", time, drops, kernelDrops: 0, eventsLost: 0 });
    return event?.kind === "left_out" ? event.drops.map(({ packets }) => packets) : undefined;
  };

  it("only the tenant's is said", () => {
    expect(left({ tenant: "user1" })).toEqual([3]);
  });

  it("only what has the reason is said", () => {
    expect(left({ reason: ["quota"] })).toEqual([5]);
  });

  it("nothing is said where nothing is meant", () => {
    expect([left({ kind: ["flow"] }), left({ reason: ["spoofed"] })]).toEqual([undefined, undefined]);
  });
});
