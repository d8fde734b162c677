/** Whether there is anything of an instance in the kernel. */

import { Pins } from "../datapath/pins.js";
import { readLinks } from "../kernel/rtnetlink.js";
import { isOurs } from "./slow-path.js";

export const isInForce = (instance: string): boolean =>
  new Pins(instance).maps().length > 0 || readLinks().some((link) => isOurs(instance, link));
