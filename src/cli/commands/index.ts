/** Every command, in the order of the help. */

import type { Command } from "../command.js";
import { apply } from "./apply.js";
import { doctor } from "./doctor.js";
import { flow } from "./flow.js";
import { link } from "./link.js";
import { map } from "./map.js";
import { monitor } from "./monitor.js";
import { net } from "./net.js";
import { plan } from "./plan.js";
import { prog } from "./prog.js";
import { run } from "./run.js";
import { status } from "./status.js";
import { teardown } from "./teardown.js";
import { validate } from "./validate.js";

export const commands: readonly Command[] = [
  validate,
  plan,
  apply,
  run,
  status,
  doctor,
  flow,
  monitor,
  prog,
  map,
  link,
  net,
  teardown,
];
