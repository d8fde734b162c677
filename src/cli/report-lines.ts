/** What a report has in it, in words. */

import type { Manifest, ManifestPart } from "../report/schema.js";

/** What is not there comes last, where it is seen. */
export function summaryLines(file: string, { parts, redacted }: Manifest): string[] {
  const folders = new Map<string, number>();
  for (const { file: path } of parts)
    if (path !== undefined) {
      const folder = path.slice(0, path.indexOf("/"));
      folders.set(folder, (folders.get(folder) ?? 0) + 1);
    }
  const counts = Array.from(folders, ([folder, count]) => `${folder} ${count}`).join(", ");
  const cut = parts.filter(({ truncated }) => truncated);
  const missing = parts.filter(({ file: path }) => path === undefined);
  const failed = parts.filter((part) => part.file !== undefined && isError(part));
  return [
    `${file}: ${parts.length - missing.length} files (${counts}), ${redacted ? "redacted" : "as they are"}`,
    ...(cut.length === 0 ? [] : ["not whole, for there is more than a report holds:"]),
    ...cut.map(({ source }) => `  ${source}`),
    ...(failed.length === 0 ? [] : ["failed, as the file says:"]),
    ...failed.map(({ source, exitCode }) => `  ${source}: exit code ${exitCode}`),
    ...(missing.length === 0 ? [] : ["could not be collected, or is empty:"]),
    ...missing.map((part) => `  ${part.source}: ${reason(part)}`),
  ];
}

/** Of xgw's verbs, 1 and 2 may be what they found. */
const isError = ({ exitCode = 0, source }: ManifestPart): boolean => exitCode > (source.startsWith("xgw ") ? 2 : 0);

function reason({ error, stderr, exitCode }: ManifestPart): string {
  if (error !== undefined) return error;
  const [said] = stderr?.split("\n") ?? [];
  if (said) return said;
  return exitCode === undefined || exitCode === 0 ? "empty" : `exit code ${exitCode}`;
}
