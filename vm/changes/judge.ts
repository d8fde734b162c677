/** Whether a packet went where the reference's went, and since when. */

import { comparable } from "../differential/compare.js";
import { look, withoutId } from "../frames/frame.js";
import type { Departure } from "./world.js";

/** Of what left, that which is made of the packet with this IP id: ARP, errors and what had waited are not. */
export function leftFor(number: number, left: readonly Departure[]): Departure[] {
  return left.filter(({ frame }) => {
    const { ip } = look(frame);
    return ip !== undefined && frame.readUInt16BE(ip + 4) === number && frame[ip + 9] !== 1;
  });
}

/** One packet in both gateways. */
export interface Probe {
  /** After the change, ms. */
  readonly atMs: number;
  readonly reference: string;
  readonly seen: string;
}

/** As text in which packets of one side and length are alike: their number is 0. */
export function answerOf(left: readonly Departure[]): string {
  const same = left.map(({ wire, frame }) => ({ wire, frame: withoutId(frame, look(frame).ip ?? 0) }));
  return same.length === 0 ? "nothing" : comparable(same);
}

export interface Verdict {
  /** From when on all was right, ms after the change, or after the reference gave its last answer; undefined: not at all. */
  readonly rightAfterMs: number | undefined;
  readonly lastWrong?: Probe;
}

/**
 * Of one side's packets of one length, in their order. While the reference itself still gives an old answer, its last one is
 * right as well.
 */
export function judge(probes: readonly Probe[]): Verdict {
  const final = probes.at(-1)?.reference;
  const isWrong = ({ reference, seen }: Probe) => seen !== reference && seen !== final;
  const lastWrong = probes.findLast(isWrong);
  if (!lastWrong) return { rightAfterMs: 0 };
  if (isWrong(probes.at(-1) as Probe)) return { rightAfterMs: undefined, lastWrong };
  const changedAt = probes.find(
    ({ reference }, at) => reference === final && probes.slice(at).every((each) => each.reference === final),
  );
  const from = Math.min(changedAt?.atMs ?? 0, lastWrong.atMs);
  return { rightAfterMs: lastWrong.atMs - from, lastWrong };
}
