/** Stand-ins of names: of tenants, hosts, devices and files. */

/** A kind of names, and what its stand-ins begin with. */
export type NameKind = "tenant" | "host" | "device" | "file";

/** Of letters and digits, with what joins them inside a name. */
const words = /[\p{L}\p{N}]+(?:[^\p{L}\p{N}\s"'/=,;:@()[\]{}<>|\\]+[\p{L}\p{N}]+)*/gu;
const word = /[\p{L}\p{N}]+/gu;

export class NameStandIns {
  /** Names, and what stands for them. */
  readonly replaced = new Map<string, string>();
  /** Of the longest name, words. */
  #longest = 1;

  constructor(names: ReadonlyMap<string, NameKind>) {
    const numbers: Record<NameKind, number> = { tenant: 0, host: 0, device: 0, file: 0 };
    for (const [name, kind] of names) {
      let standIn: string;
      do standIn = `${kind}-${++numbers[kind]}`;
      while (names.has(standIn));
      this.replaced.set(name, standIn);
      this.#longest = Math.max(this.#longest, name.match(word)?.length ?? 1);
    }
  }

  /** Names that stand alone, or between what is no letter or digit: `eth0` in `xdp_eth0`, not in `veth0`. */
  replace(text: string): string {
    return this.replaced.size === 0 ? text : text.replaceAll(words, (run) => this.#replaceIn(run));
  }

  /** The longest names first, from the left. */
  #replaceIn(run: string): string {
    const whole = this.replaced.get(run);
    if (whole !== undefined) return whole;
    const parts = [...run.matchAll(word)];
    let result = "";
    let end = 0;
    for (let first = 0; first < parts.length; first++) {
      const start = parts[first]?.index ?? 0;
      for (let last = Math.min(parts.length, first + this.#longest) - 1; last >= first; last--) {
        const stop = (parts[last]?.index ?? 0) + (parts[last]?.[0].length ?? 0);
        const standIn = this.replaced.get(run.slice(start, stop));
        if (standIn === undefined) continue;
        result += run.slice(end, start) + standIn;
        end = stop;
        first = last;
        break;
      }
    }
    return result + run.slice(end);
  }
}
