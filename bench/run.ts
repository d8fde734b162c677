/** One benchmark run. */
import { measureBindings } from "./bindings.js";
import { prepare } from "./cases.js";
import { macs, service } from "./frame.js";
import { Generator } from "./generator.js";
import { describeMachine } from "./machine.js";
import { efforts, measure } from "./measure.js";
import { openPeer, type Peer } from "./peer.js";
import { format, type Results } from "./results.js";

export interface RunOptions {
  readonly effort: keyof typeof efforts;
  readonly peers: boolean;
  say(line: string): void;
}

async function peerIfThere({ peers, say }: RunOptions): Promise<Peer | undefined> {
  if (!peers) return undefined;
  try {
    return await openPeer(`${service.address}/32`, macs.gateway);
  } catch (error) {
    say(`without xdp-forward: ${(error as Error).message}`);
    return undefined;
  }
}

export async function run(options: RunOptions): Promise<Results> {
  const { effort, say } = options;
  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 1000);
  const machine = describeMachine();
  const peer = await peerIfThere(options);
  const generator = new Generator();
  try {
    const bench = prepare(generator, peer);
    try {
      const { rounds } = efforts[effort];
      const programs = measure(generator, bench.empty, bench.cases, efforts[effort], (round) =>
        say(`round ${round + 1} of ${rounds}, ${seconds()} s`),
      );
      say(`libbpf-ts beside C, ${seconds()} s`);
      const bindings = measureBindings(efforts[effort].bindingRounds);
      return {
        format,
        date: new Date().toISOString(),
        effort,
        seconds: seconds(),
        machine,
        peers: peer ? { "xdp-tools": peer.version } : {},
        programs,
        bindings,
      };
    } finally {
      bench.close();
    }
  } finally {
    generator.close();
    peer?.close();
  }
}
