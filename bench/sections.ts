/** The sections of a run, in the report's order. */

import { control } from "./control/control.js";
import { flows } from "./flows/flows.js";
import { live } from "./live/live.js";
import type { Section } from "./section.js";
import { sizes } from "./sizes.js";
import { vm } from "./vm/vm.js";

export const sections: readonly Section[] = [live, flows, vm, control, sizes];
