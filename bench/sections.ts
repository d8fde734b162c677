/** The sections of a run, in the report's order. */

import type { Section } from "./section.js";
import { sizes } from "./sizes.js";

export const sections: readonly Section[] = [sizes];
