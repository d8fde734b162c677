/** Random values from a seed, so that a failure can be run again: XGW_TEST_SEED=<seed>. */

export interface Random {
  readonly seed: number;
  /** An integer from `from` to `to`, both included. */
  integer(from: number, to: number): number;
  pick<T>(from: readonly T[]): T;
  bytes(length: number): Buffer;
  address(): string;
}

export function makeRandom(seed = Number(process.env.XGW_TEST_SEED ?? Date.now() % 1_000_000_007)): Random {
  let state = seed >>> 0;
  // A Weyl sequence through a multiply-and-shift mixer.
  const next = () => {
    state = (state + 0x9e37_79b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0_aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  const integer = (from: number, to: number) => from + (next() % (to - from + 1));
  const bytes = (length: number) => Buffer.from(Array.from({ length }, () => next() & 0xff));
  return {
    seed,
    integer,
    pick: (from) => from[integer(0, from.length - 1)] as never,
    bytes,
    address: () => [integer(1, 223), integer(0, 255), integer(0, 255), integer(0, 255)].join("."),
  };
}
