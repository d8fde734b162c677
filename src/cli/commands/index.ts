/** Every command, in the order of the help. */

import type { Command } from "../command.js";
import { apply } from "./apply.js";
import { completion } from "./completion.js";
import { confirm } from "./confirm.js";
import { doctor } from "./doctor.js";
import { explain } from "./explain.js";
import { flow } from "./flow.js";
import { link } from "./link.js";
import { map } from "./map.js";
import { net } from "./net.js";
import { plan } from "./plan.js";
import { prog } from "./prog.js";
import { report } from "./report.js";
import { run } from "./run.js";
import { status } from "./status.js";
import { teardown } from "./teardown.js";
import { tenant } from "./tenant.js";
import { top } from "./top.js";
import { validate } from "./validate.js";

export const commands: readonly Command[] = [
  validate,
  plan,
  apply,
  confirm,
  run,
  status,
  doctor,
  tenant,
  top,
  flow,
  explain,
  prog,
  map,
  link,
  net,
  report,
  teardown,
  completion,
];
