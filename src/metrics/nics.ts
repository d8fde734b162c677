/** What the NICs of the config do, as the kernel has it. */

import { observeXdp } from "../datapath/attachments.js";
import { kernelNames } from "../datapath/entries.js";
import type { Pins } from "../datapath/pins.js";
import { readUnsent } from "../datapath/unsent.js";
import type { Exposition } from "../exposition.js";
import { readLinksOf } from "../kernel/rtnetlink.js";
import type { Desired } from "../model/desired.js";

export function addNics(exposition: Exposition, pins: Pins, nics: Desired["nics"]): void {
  const names = nics.map(({ name }) => name);
  const links = new Map(readLinksOf(names).map((link) => [link.name, link]));
  const up = exposition.gauge("xgw_nic_up", "1 when the NIC is up and has a carrier.");
  for (const nic of names) {
    const link = links.get(nic);
    up({ nic }, link?.isUp && !link.lacksCarrier ? 1 : 0);
  }
  const running = new Map(observeXdp(pins, names, kernelNames).map((state) => [state.device, state]));
  const attached = exposition.gauge(
    "xgw_nic_xdp_attached",
    "1 when XDP is xgw's on the NIC, in the mode that the config wants.",
  );
  for (const { name, xdp } of nics) {
    const state = running.get(name);
    attached({ nic: name, mode: xdp }, state?.isOurs && state.mode === xdp ? 1 : 0);
  }
  const counts = readUnsent(pins);
  const unsent = exposition.counter(
    "xgw_xdp_unsent_packets_total",
    "Packets that XDP has sent by a NIC, and that it has not.",
  );
  for (const nic of names) unsent({ nic }, counts.get(kernelNames.indexOf(nic)) ?? 0);
}
