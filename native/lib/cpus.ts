/** How many CPUs a per-CPU value has room for. */
import { addon } from "./addon.js";
import { check } from "./error.js";

let known: number | undefined;

/** The number of possible CPUs (not of online ones): the length of every per-CPU value. */
export function possibleCpus(): number {
  known ??= check(addon.possibleCpus(), "count possible CPUs");
  return known;
}
