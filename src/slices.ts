/** Long readings in slices, between which a process does other things. */

import { setImmediate as nextTurn } from "node:timers/promises";

/** A reading that may be left wherever it yields, and taken up again. */
export type Reading<T> = Generator<void, T>;

/** Without a pause: for a process that has nothing else to do. */
export function atOnce<T>(reading: Reading<T>): T {
  for (;;) {
    const { done, value } = reading.next();
    if (done) return value;
  }
}

/** Of what is read tenant by tenant, so many between two pauses. */
export const tenantsAtOnce = 64;

/** A slice ends with the first yield after so long, milliseconds. */
const sliceMs = 5;

/** With a turn of the event loop after each slice. */
export async function inSlices<T>(reading: Reading<T>, lengthMs = sliceMs): Promise<T> {
  for (;;) {
    const until = performance.now() + lengthMs;
    do {
      const { done, value } = reading.next();
      if (done) return value;
    } while (performance.now() < until);
    await nextTurn();
  }
}
