/** A plan as data: every step with what it is for, and by tenant the same folded. */

import { purposeWords } from "../plan/config-words.js";
import { describeStep } from "../plan/describe.js";
import type { Outline, OutlineItem } from "../plan/outline.js";
import { type Purpose, purposeOf } from "../plan/purpose.js";
import type { Step } from "../plan/steps.js";
import { type Placed, placeOf } from "./plan-lines.js";

/** Places are looked up for so many things at most: to find them, a file is parsed once more. */
const placedMax = 1000;

/** @param steps in the order in which they are run */
export function planJson(outline: Outline, steps: readonly Step[], placed: Placed) {
  const known = new Map(placed.config.tenants.map((tenant, at) => [tenant.name, { tenant, at }]));
  const hasPlaces = outline.tenants.reduce((sum, { items }) => sum + items.length, 0) <= placedMax;
  const whose = new Map(
    outline.tenants.flatMap(({ name, items }) => items.flatMap((item) => item.steps.map((step) => [step, name]))),
  );
  const change = (name: string, item: OutlineItem) => {
    const tenant = known.get(name);
    const place = hasPlaces ? placeOf(item, tenant, placed) : undefined;
    return {
      sign: item.sign,
      ...purposeFields(item),
      text: purposeWords(item, tenant?.tenant),
      steps: item.steps.length,
      ...(place ? { place } : {}),
    };
  };
  return {
    tenants: outline.tenants.map(({ name, change: kind, steps: number, items }) => ({
      name,
      change: kind,
      steps: number,
      changes: items.map((item) => change(name, item)),
    })),
    steps: steps.map((step) => {
      const tenant = whose.get(step);
      const purpose = tenant === undefined ? {} : { for: { tenant, ...purposeFields(purposeOf(step)) } };
      return { ...step, text: describeStep(step), ...purpose };
    }),
  };
}

const purposeFields = ({ part, item }: Purpose) => ({ part, ...(item === "" ? {} : { item }) });
