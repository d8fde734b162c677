/** The text in a buffer of C's: up to the first zero, or all of it. */
export function cText(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}
