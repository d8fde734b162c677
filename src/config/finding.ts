/** A way into a value: keys of maps, indices of lists. */
export type Path = readonly (string | number)[];

/** Something wrong, by its path in the parsed value; whoever knows the file turns it into a Problem with a line. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
  readonly remedy: string;
}

/** Where the single checks put what they find. */
export interface Report {
  error(path: Path, message: string, remedy: string): void;
  /** Allowed, but hardly meant. */
  warn(path: Path, message: string, remedy: string): void;
  placeOf(path: Path): string;
}

/** `tenants[0].routes[1].via` */
export function formatPath(path: Path): string {
  return path.map((step, index) => (typeof step === "number" ? `[${step}]` : index === 0 ? step : `.${step}`)).join("");
}
