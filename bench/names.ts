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
  miss: "miss",
  unknownKey: "unknown key",
  stranger: "stranger",
} as const;
