/** Room for millions of connections, for the time of a measurement. These settings are the whole machine's. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const settings = {
  "/proc/sys/net/netfilter/nf_conntrack_max": 4_194_304,
  "/sys/module/nf_conntrack/parameters/hashsize": 2_097_152,
} as const;

/** Gives back what puts the settings back. @throws when the kernel refuses. */
export function makeConntrackRoom(): () => void {
  spawnSync("modprobe", ["-q", "nf_conntrack"]); // built in is as good
  const before = new Map<string, string>();
  for (const [file, wanted] of Object.entries(settings)) {
    const value = readFileSync(file, "utf8").trim();
    if (Number(value) >= wanted) continue;
    before.set(file, value);
    writeFileSync(file, String(wanted));
  }
  return () => {
    for (const [file, value] of before) writeFileSync(file, value);
  };
}
