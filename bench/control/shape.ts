/** What the guest measures of the control plane and hands to the host. Times in milliseconds of an emulated machine. */

export interface ControlResults {
  readonly tenants: number;
  /** Reading and checking all files. */
  readonly loadMs: number;
  /** Reading included: from nothing to all in force. */
  readonly firstApplyMs: number;
  readonly firstApplySteps: number;
  /** The comparison with the kernel. */
  readonly noopApplyMs: number;
  /** Both of them. */
  readonly restartMs: number;
  /** From the edit of a file to the config in force: the daemon's own time, without its wait for the editor to be done. */
  readonly changeMs: readonly number[];
  /** The same for a file that is new, of a tenant whose share of the nft table is there. */
  readonly newMs: readonly number[];
  /** From the notification of a tenant's lost route to its return, the daemon's wait for more of the same included. */
  readonly repairMs: readonly number[];
  readonly memoryMiB: number;
  /** Of one CPU, with nothing to do, in windows one after the other; a full comparison included where one is due. */
  readonly idlePercent: readonly number[];
}

export interface ControlEffort {
  readonly tenants: readonly number[];
  readonly changes: number;
  readonly idleMs: number;
}

export const controlEfforts: Record<"quick" | "full", ControlEffort> = {
  quick: { tenants: [1, 100], changes: 3, idleMs: 5_000 },
  full: { tenants: [1, 100, 1000, 4000], changes: 3, idleMs: 10_000 },
};

/** Begins a line with results in the guest's output. */
export const controlMark = "xgw-control-results ";

/** What a child tells the guest. */
export type Measured = Partial<ControlResults>;
