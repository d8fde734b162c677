/** What the config wants beside what the kernel has. Pure. */

export interface Origin {
  readonly isInKernel: boolean;
  /** Missing where the config cannot be read. */
  readonly isInConfig?: boolean | undefined;
}

/**
 * Those of the config in its order, each once, then others; of what is in both, the kernel's.
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
  const inConfig = new Map(wanted.map((one) => [idOf(one), one]));
  return [
    ...[...inConfig.values()].map((one) => {
      const same = inKernel.get(idOf(one));
      return { ...(same ?? one), isInKernel: same !== undefined, isInConfig: true };
    }),
    ...found.filter((one) => !inConfig.has(idOf(one))).map((one) => ({ ...one, isInKernel: true, isInConfig: false })),
  ];
}
