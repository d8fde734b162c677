/** Finds in what libbpf printed the verifier's log, and in that the line that says why. */

export interface VerifierFailure {
  /** The program that was rejected. */
  program: string;
  /** The verifier's whole log. */
  log: string;
  /** Why, in the verifier's words. */
  reason: string;
  /** The source line being verified, if the object has line information; with "@ file:line" on newer kernels. */
  sourceLine?: string;
}

const BEGIN = "-- BEGIN PROG LOAD LOG --\n";
const END = "-- END PROG LOAD LOG --";

/** Lines that end a log, or comment on it, without saying what is wrong. */
const NOISE = /^(processed \d+ insns|verification time|stack depth|max_states_per_insn|mark_precise|-- |\s*$)/;
/** An instruction ("12: (61) r0 = ..."), a register state, or a jump trace. */
const TRACE = /^(\d+: |from \d+ to \d+|; |func#|last_idx|regs=|Live regs|R\d+(_w)?=\S+ )/;

/** Returns undefined when the text has no verifier log in it. */
export function findVerifierFailure(text: string): VerifierFailure | undefined {
  const begin = text.lastIndexOf(BEGIN);
  if (begin < 0) return undefined;
  const end = text.indexOf(END, begin);
  const log = text.slice(begin + BEGIN.length, end < 0 ? undefined : end);
  const program = /prog '([^']*)': $/.exec(text.slice(0, begin))?.[1] ?? "";
  const lines = log.split("\n");
  const quiet = (line: string | undefined) => line === undefined || NOISE.test(line);
  let stop = lines.length;
  while (stop > 0 && quiet(lines[stop - 1])) stop--;
  let start = stop;
  while (start > 0 && !quiet(lines[start - 1]) && !TRACE.test(lines[start - 1] ?? "")) start--;
  const reason = lines
    .slice(start, stop)
    .map((line) => line.trim())
    .join("; ");
  const sourceLine = lines
    .slice(0, start)
    .findLast((line) => line.startsWith("; "))
    ?.slice(2)
    .trim();
  return { program, log, reason, ...(sourceLine ? { sourceLine } : {}) };
}
