/** What the host makes of the guest's times. */
import type { Gate } from "../gates.js";
import type { Figure } from "../section.js";
import { spreadOf } from "../stats.js";
import { besideAt, type GuestResults, openAt, type Series, seriesNames, sizes, tenantsAt } from "./shape.js";

/** Emulated times mean nothing by themselves, so figures are ratios, round by round. */
class Rounds {
  constructor(private readonly all: readonly Series[]) {}

  times(name: string, at: string): readonly number[] {
    return this.all.find((series) => series.name === name && series.at === at)?.times ?? [];
  }

  /** The ratio of the least times; its spread is that of the rounds' ratios. Undefined where one was not measured. */
  ratio(
    name: string,
    at: string,
    [above, aboveAt]: readonly [string, string],
    [below, belowAt]: readonly [string, string],
    better: Figure["better"],
  ): Figure | undefined {
    const [a, b] = [this.times(above, aboveAt), this.times(below, belowAt)];
    if (a.length === 0 || b.length === 0) return undefined;
    const spread = spreadOf(a.map((ns, round) => ns / (b[round] ?? Number.NaN)));
    return { name, at, value: Math.min(...a) / Math.min(...b), unit: "×", better, spread };
  }
}

export const figureNames = {
  flowtable: "flowtable ÷ XDP, time a packet",
  netfilter: "plain netfilter ÷ XDP, time a packet",
  hot: "XDP, a hot flow: ÷ that with 1 tenant",
  slow: "slow path, a new connection: ÷ that with 1 tenant",
  open: "XDP: ÷ that with 1 connection",
  learner: "a new connection: with ÷ without the learner",
  connection: "a new connection ÷ three packets of XDP",
} as const;

export function figuresOf(
  { series, births }: GuestResults,
  tenants: readonly number[],
  open: readonly number[],
): Figure[] {
  const rounds = new Rounds(series);
  const { xdp, flowtable, stack, connection, unlearned } = seriesNames;
  const at = [sizes.small, sizes.bulk, ...open.filter((count) => count > 1).map(openAt)];
  const one = tenantsAt(1);
  const ofTenants = (name: string, of: string, count: number) =>
    rounds.ratio(name, tenantsAt(count), [of, tenantsAt(count)], [of, besideAt(count)], "less");
  const figures = [
    ...at.map((where) => rounds.ratio(figureNames.flowtable, where, [flowtable, where], [xdp, where], "more")),
    ...at.map((where) => rounds.ratio(figureNames.netfilter, where, [stack, where], [xdp, where], "more")),
    ...tenants.map((count) => ofTenants(figureNames.hot, xdp, count)),
    ...tenants.map((count) => ofTenants(figureNames.slow, connection, count)),
    ...open
      .filter((count) => count > 1)
      .map((count) => rounds.ratio(figureNames.open, openAt(count), [xdp, openAt(count)], [xdp, sizes.small], "less")),
    rounds.ratio(figureNames.learner, one, [connection, one], [unlearned, one], "less"),
    rounds.ratio(figureNames.connection, one, [connection, one], [xdp, sizes.small], "neither"),
  ].filter((figure) => figure !== undefined);
  const perSecond = (name: string): Figure => {
    const spread = spreadOf(rounds.times(name, one).map((ns) => 1e9 / ns));
    return { name: `${name}: emulated`, at: one, value: spread.max, unit: "/s", better: "neither", spread };
  };
  const packets = spreadOf(births.map((birth) => birth.packets));
  const ms = spreadOf(births.map((birth) => birth.ms));
  return [
    ...figures,
    perSecond(connection),
    perSecond(unlearned),
    {
      name: "packet each way that XDP is first to carry",
      value: packets.median,
      unit: "",
      better: "less",
      spread: packets,
    },
    { name: "first packet until then: emulated", value: ms.min, unit: "ms", better: "neither", spread: ms },
  ];
}

export function gatesOf(figures: readonly Figure[]): Gate[] {
  const of = (name: string, at: string) => figures.find((figure) => figure.name === name && figure.at === at)?.value;
  const gate = (name: string, wanted: number, measured: number | undefined, atLeast = false): Gate => ({
    name: `VM: ${name}`,
    wanted,
    unit: "×",
    atLeast,
    measured,
  });
  const most = tenantsAt(4000);
  return [
    gate("flowtable ÷ XDP, small packets", 2, of(figureNames.flowtable, sizes.small), true),
    gate("XDP, a hot flow: 4,000 tenants ÷ 1", 1.1, of(figureNames.hot, most)),
    gate("slow path: 4,000 tenants ÷ 1", 1.2, of(figureNames.slow, most)),
  ];
}
