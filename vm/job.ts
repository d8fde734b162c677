// SPDX-License-Identifier: MIT

export interface Job {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** The host's directory with the guest kernel's modules. */
  readonly modules: string;
  readonly share: string | undefined;
}

/** The one line that the guest reads from its control port: the settings of run.sh, and the command as a script. */
export function encodeJob(job: Job): string {
  const exports = Object.entries(job.env).map(([name, value]) => `export ${name}=${quote(value)}\n`);
  const command = `${exports.join("")}cd ${quote(job.cwd)} || exit 126\nexec ${job.command.map(quote).join(" ")}\n`;
  const ownTmp = ![job.cwd, job.share ?? "/"].some((path) => path === "/tmp" || path.startsWith("/tmp/"));
  const setup = [
    `modules=${quote(job.modules)}`,
    `share=${quote(job.share ?? "")}`,
    `own_tmp=${ownTmp ? 1 : 0}`,
    `printf %s ${quote(command)} >/run/xgw-vm/job/command`,
  ];
  return `${Buffer.from(`${setup.join("\n")}\n`).toString("base64")}\n`;
}

/** One word for a POSIX shell. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
