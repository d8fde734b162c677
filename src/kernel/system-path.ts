/** Where nft, modprobe and their like are: root by a plain `su` has these folders not in its path. */
const systemFolders = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** The search path, with those of the folders behind it that it lacks. */
export function withSystemPrograms(path = ""): string {
  return [...new Set([...path.split(":").filter(Boolean), ...systemFolders])].join(":");
}
