/** Live templates whose ways are asked for, powers of two. */
export const templateCounts = [1, 1024, 16_384];

/** Names of the measurements, as in result files and in the report. */
export const names = {
  parse: "parse alone",
  hash: "HASH lookup",
  table: "flow table lookup",
  line: "one cache line, pointer chase",
  counter: "per-CPU counter",
  rewrite: "rewriting all headers",
  push: "head push",
  pop: "head pop",
  devmap: "devmap redirect",
  xdpForward: "xdp-forward, fib-full",
  establishedTcp: "established GRE→GRE, TCP",
  establishedUdp: "established GRE→GRE, UDP",
  stockTcp: "the same over a stock HASH, TCP",
  fromUplinkTcp: "established plain→GRE, TCP",
  fromUplinkUdp: "established plain→GRE, UDP",
  toUplinkUdp: "established GRE→plain, UDP",
  oneOfMany: "GRE→GRE, UDP, one tenant of 4,096",
  manyInTurns: "GRE→GRE, UDP, 4,096 tenants in turn",
  waysAsked: (templates: number) => `UDP, flows by ${templates.toLocaleString("en")} templates, ways asked for`,
  waysUnasked: (templates: number) => `UDP, flows by ${templates.toLocaleString("en")} templates, ways not asked for`,
  miss: "miss",
  unknownKey: "unknown key",
  stranger: "stranger",
  monitoredDrop: "unknown key, a monitor listens",
} as const;
