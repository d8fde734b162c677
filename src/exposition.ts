/** Prometheus' text format, written line by line: families of thousands of series take no detour through objects. */

import { type Durations, durationBounds } from "./histogram.js";

export const contentType = "text/plain; version=0.0.4; charset=utf-8";

type Labels = Readonly<Record<string, string>>;
/** Adds a series of a family; those of one family one after the other. */
type Add = (labels: Labels, value: number) => void;

/** Characters of a piece. */
const pieceLength = 65_536;

export class Exposition {
  private readonly done: Buffer[] = [];
  private text = "";

  counter(name: string, help: string): Add {
    return this.family(name, help, "counter");
  }

  gauge(name: string, help: string): Add {
    return this.family(name, help, "gauge");
  }

  histogram(name: string, help: string): (labels: Labels, durations: Durations) => void {
    this.begin(name, help, "histogram");
    return (labels, { counts, count, sum }) => {
      let below = 0;
      for (const [at, bound] of durationBounds.entries()) {
        below += counts[at] ?? 0;
        this.line(`${name}_bucket`, { ...labels, le: String(bound) }, below);
      }
      this.line(`${name}_bucket`, { ...labels, le: "+Inf" }, count);
      this.line(`${name}_sum`, labels, sum);
      this.line(`${name}_count`, labels, count);
    };
  }

  /** All that was added. */
  pieces(): readonly Buffer[] {
    if (this.text !== "") this.flush();
    return this.done;
  }

  private family(name: string, help: string, type: string): Add {
    this.begin(name, help, type);
    return (labels, value) => this.line(name, labels, value);
  }

  private begin(name: string, help: string, type: string): void {
    this.text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  }

  private line(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    this.text += `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
    if (this.text.length >= pieceLength) this.flush();
  }

  private flush(): void {
    this.done.push(Buffer.from(this.text));
    this.text = "";
  }
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", '"': '\\"', "\n": "\\n" };

const escaped = (text: string): string => text.replaceAll(/[\\"\n]/g, (character) => escapes[character] ?? "");
