/** MAC addresses of gateways that end in raw wires. */

const hex = (byte: number) => byte.toString(16).padStart(2, "0");

/** Locally administered, one a number. */
export const macOf = (kind: number, number: number) =>
  `02:${hex(kind)}:${[24, 16, 8, 0].map((shift) => hex((number >>> shift) & 0xff)).join(":")}`;

/** As xgw gives it to a gretap device. */
export const tunnelMac = (key: number) => macOf(0x67, key);
