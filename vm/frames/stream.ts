import { makeRandom, type Random } from "../../test/bpf/support/random.js";

/** Numbers of a stream that other streams of the same seed have nothing to do with. */
export function stream(seed: number, name: string, number = 0): Random {
  let state = 0x811c9dc5;
  for (const byte of Buffer.from(`${seed} ${name} ${number}`)) state = Math.imul(state ^ byte, 0x01000193) >>> 0;
  return makeRandom(state);
}
