/** As src/kernel/system-path.ts has it, which is not compiled yet: dpkg, too, looks for its helpers there. */
export function withSystemPrograms(path = "") {
  const folders = path.split(":").filter(Boolean);
  return [...new Set([...folders, "/usr/local/sbin", "/usr/sbin", "/sbin"])].join(":");
}
