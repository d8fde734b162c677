/** What `xgw top` looks at: all tenants, or the flows of one. */

import { FlowView } from "../../datapath/flow-view.js";
import type { Pins } from "../../datapath/pins.js";
import { lineTest, parseFilter } from "../../flow/filter.js";
import type { Top } from "../../flow/schema.js";
import { namedTenants } from "../../flow/subject.js";
import { FlowTop } from "../../flow/top.js";
import { inSlices } from "../../slices.js";
import { ratesBetween } from "../../top/rates.js";
import { type Named, type Sample, scanSample } from "../../top/sample.js";
import type { TopTable } from "../../top/schema.js";

/** Tenants that came or went are seen after so long, milliseconds. */
const tenantsForMs = 10_000;

export class TenantsSource {
  #before: Sample | undefined;
  #named = { at: performance.now(), tenants: [] as readonly Named[], lines: 0 };

  constructor(
    private readonly pins: Pins,
    private readonly configured: readonly Named[],
  ) {
    this.#name();
  }

  #name(): void {
    using view = new FlowView(this.pins);
    const tenants = namedTenants(view, this.configured);
    this.#named = { at: performance.now(), tenants, lines: view.memory.lines };
  }

  /** What happened since the last time; the first time, from where on is counted. */
  async look(): Promise<TopTable | undefined> {
    if (performance.now() - this.#named.at > tenantsForMs) this.#name();
    const before = this.#before;
    const sample = await inSlices(scanSample(this.pins, this.#named.tenants, this.#named.lines));
    this.#before = sample;
    return before && ratesBetween(before, sample);
  }
}

export class FlowsSource implements Disposable {
  readonly #view: FlowView;
  readonly #flows: FlowTop;
  #isFirst = true;

  /** @throws UsageError when there is no such tenant */
  constructor(
    pins: Pins,
    configured: readonly Named[],
    private readonly tenant: string,
    private readonly by: "bits" | "packets",
    limit: number,
  ) {
    this.#view = new FlowView(pins);
    const tenants = namedTenants(this.#view, configured);
    const isMeant = lineTest(parseFilter({ tenant }, tenants), this.#view);
    this.#flows = new FlowTop(this.#view, { by: by === "bits" ? "bytes" : by, limit, tenants, isMeant });
  }

  /** Whether it is what somebody wants to see now. */
  isOf = (tenant: string | undefined, by: "bits" | "packets"): boolean => tenant === this.tenant && by === this.by;

  /** As of `TenantsSource`. */
  look(): Top | undefined {
    const report = this.#flows.look();
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    return isFirst ? undefined : report;
  }

  [Symbol.dispose](): void {
    this.#view.close();
  }
}
