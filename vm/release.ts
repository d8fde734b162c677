/** Compares the leading "major.minor" of two kernel releases. */
export function atLeast(release: string, floor: string): boolean {
  const [major = 0, minor = 0] = release.split(".").map((part) => Number.parseInt(part, 10));
  const [floorMajor = 0, floorMinor = 0] = floor.split(".").map((part) => Number.parseInt(part, 10));
  return major > floorMajor || (major === floorMajor && minor >= floorMinor);
}
