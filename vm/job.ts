export interface Job {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** The host's directory with the modules of the guest's kernel, one directory a release. */
  readonly modules: string;
  readonly share: string | undefined;
  /** The command runs on the console, not with its output on the ports. */
  readonly interactive?: boolean | undefined;
}

/** The one line that the guest reads from its control port: a script that run.sh sources, in base64. */
export function encodeJob(job: Job): string {
  const exports = Object.entries(job.env).map(([name, value]) => `export ${name}=${quote(value)}\n`);
  const command = `${exports.join("")}cd ${quote(job.cwd)} || exit 126\nexec ${job.command.map(quote).join(" ")}\n`;
  const setup = [
    `modules=${quote(job.modules)}`,
    `share=${quote(job.share ?? "")}`,
    `interactive=${job.interactive ? 1 : 0}`,
    `printf %s ${quote(command)} >/run/xgw-vm/job/command`,
  ];
  return `${Buffer.from(`${setup.join("\n")}\n`).toString("base64")}\n`;
}

/** One word for a POSIX shell. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

const passed = /^(HOME|PATH|TERM|LANG|LC_.*|TZ|USER|CI|FORCE_COLOR|NO_COLOR|NODE_.*|XGW_.*)$/;

/** What of this process's environment a command in the guest gets. */
export function passedEnv(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && passed.test(entry[0])),
  );
}
