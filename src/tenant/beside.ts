/** What the config wants beside what the kernel has. Pure. */

export interface Origin {
  readonly isInKernel: boolean;
  /** Missing where the config cannot be read. */
  readonly isInConfig?: boolean | undefined;
}

/**
 * Those of the config in its order, then others; of what is in both, the kernel's.
 *
 * @param wanted undefined: nobody knows
 */
export function beside<T extends object>(
  wanted: readonly T[] | undefined,
  found: readonly T[],
  idOf: (one: T) => string,
): (T & Origin)[] {
  if (!wanted) return found.map((one) => ({ ...one, isInKernel: true }));
  const inKernel = new Map(found.map((one) => [idOf(one), one]));
  const ids = new Set(wanted.map(idOf));
  return [
    ...wanted.map((one) => {
      const same = inKernel.get(idOf(one));
      return { ...(same ?? one), isInKernel: same !== undefined, isInConfig: true };
    }),
    ...found.filter((one) => !ids.has(idOf(one))).map((one) => ({ ...one, isInKernel: true, isInConfig: false })),
  ];
}
