// SPDX-License-Identifier: MIT

/** How QEMU shall run the guest. */
export function tcgArgs(): string[] {
  return ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"];
}
