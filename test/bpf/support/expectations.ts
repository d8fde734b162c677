import { expect } from "vitest";
import type { Outcome } from "./datapath.js";
import { dissect } from "./dissect.js";

/** Compares whole frames; a failure shows both, layer by layer. */
export function expectFrame(seen: Buffer, wanted: Buffer): void {
  if (!seen.equals(wanted)) expect(dissect(seen), "the frame that came out").toEqual(dissect(wanted));
}

/** Rewritten into exactly this frame, and sent out of the device that it came in by. */
export function expectSent(outcome: Outcome, tenant: { readonly id: number }, wanted: Buffer): void {
  expect(outcome.summary).toBe(`tx, tenant ${tenant.id}: forwarded`);
  expectFrame(outcome.frame, wanted);
}

/** Given to the kernel as it arrived, byte for byte, and counted once. */
export function expectPassed(outcome: Outcome, arrived: Buffer, tenant: { readonly id: number }, reason: string): void {
  expect(outcome.summary).toBe(`pass, tenant ${tenant.id}: ${reason}`);
  expectFrame(outcome.frame, arrived);
}

export function expectDropped(outcome: Outcome, tenant: { readonly id: number }, reason: string): void {
  expect(outcome.summary).toBe(`drop, tenant ${tenant.id}: ${reason}`);
}

export const nobody = { id: 0 };
