/** Words that several steps use. */

import type { ConnectionTuple } from "../plan/admission.js";

const end = (address: string, port: number): string => (port === 0 ? address : `${address}:${port}`);

export const tupleWords = ({ source, sourcePort, destination, destinationPort }: ConnectionTuple): string =>
  `${end(source, sourcePort)} > ${end(destination, destinationPort)}`;

export const endWords = ({ destination, destinationPort }: ConnectionTuple): string =>
  end(destination, destinationPort);

/** Such as `3 s`, `5 min` or `7 h`. */
export function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
