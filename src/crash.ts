/**
 * A seam for tests: the process ends at one point of a change, chosen by number, as if it were killed from outside. Nothing
 * in src arms it, and no setting or environment variable does: unarmed, a point is one comparison.
 */

let points: string[] | undefined;
let fatal = Number.POSITIVE_INFINITY;

/** From here on points are counted from 0, and the process dies at this one; at none when it is not given. */
export function armCrash(at = Number.POSITIVE_INFINITY): void {
  points = [];
  fatal = at;
}

/** The names of the points that were passed since it was armed. */
export const crashPoints = (): readonly string[] => points ?? [];

/** Something has just been done, or is about to be: says what. */
export function crashPoint(name: string): void {
  if (points === undefined) return;
  if (points.length === fatal) process.kill(process.pid, "SIGKILL");
  points.push(name);
}

/**
 * Steps that another program does in one go. The process could die after any of them.
 *
 * @returns how many of them to let happen before `crashPoint` is called and ends it all; undefined: all
 */
export function crashWithin(names: readonly string[]): number | undefined {
  if (points === undefined) return undefined;
  const done = fatal - points.length;
  if (done >= names.length) {
    points.push(...names);
    return undefined;
  }
  points.push(...names.slice(0, done));
  return done;
}
