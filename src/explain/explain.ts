/** What would become of one packet now: XDP's own program is tried on it, and the kernel is asked for what comes behind. */

import { kernelNames } from "../datapath/entries.js";
import { reasons } from "../datapath/reasons.js";
import type { XdpTrial } from "../datapath/trial.js";
import { protocolName } from "../flow/filter.js";
import type { Arrival } from "./arrival.js";
import { tellKernel } from "./by-kernel.js";
import { tellDenial, tellForwarded } from "./by-xdp.js";
import type { Explanation } from "./schema.js";
import { type Ending, type Gateway, type Subject, tell } from "./subject.js";

export async function explain(gateway: Gateway, trial: XdpTrial, { frame, ifindex }: Arrival): Promise<Explanation> {
  const tried = trial.run(frame, ifindex);
  const { examined, reason } = tried;
  const tenant = gateway.tenants.find(({ id }) => id === (examined.tenant || tried.tenant));
  const subject: Subject = { gateway, trial: tried, tenant, steps: [] };
  const device = kernelNames.nameOf(ifindex);
  tell(subject, "arrival", `a frame of ${frame.length} bytes by ${device}`, "the frame", { bytes: frame.length });
  const ending = await tellWay(subject);
  const isParsed = examined.parsed === "forwarded";
  return {
    instance: gateway.instance,
    device,
    ...(examined.parsed === "host" ? {} : { side: examined.wrap }),
    ...(tenant ? { tenant: tenant.name, key: tenant.key } : {}),
    ...(isParsed ? { protocol: protocolName(examined.protocol), arrives: examined.tuple } : {}),
    ...ending,
    reason,
    steps: subject.steps,
  };
}

async function tellWay(subject: Subject): Promise<Ending> {
  const { trial, tenant } = subject;
  const { examined, reason, action } = trial;
  if (!tellArrival(subject)) return { verdict: "delivered", by: "kernel" };
  if (reason === "unknown_key" || reason === "stranger") {
    const [step, text] =
      reason === "stranger"
        ? (["peer", `${examined.peer} is not a tunnel endpoint of ${tenant?.name}'s`] as const)
        : (["tenant", `no tenant has the key ${examined.realm}`] as const);
    tell(subject, step, text, "xgw_xdp", {}, "note");
    return dropped(subject);
  }
  tell(subject, "tenant", `${tenant?.name ?? "a tenant"}, zone ${examined.zone}`, "map tenants", {
    zone: examined.zone,
    generation: examined.generation,
  });
  if (examined.isPeer === "yes") tell(subject, "peer", `${examined.peer} is one of its endpoints`, "map peers");
  if (action === "tx" || action === "redirect") return tellForwarded(subject);
  if (action === "drop") {
    const ending = tellDenial(subject);
    return { ...ending, ...dropped(subject) };
  }
  return tellKernel(subject);
}

/** Up to the inner packet. False: it is none of a tenant's. */
function tellArrival(subject: Subject): boolean {
  const { examined } = subject.trial;
  if (examined.parsed === "host" || (examined.tenant === 0 && examined.wrap === "plain" && examined.realm === 0)) {
    const text = "neither in a tenant's tunnel nor for a public address: the machine's own, which xgw does not judge";
    tell(subject, "decapsulation", text, "xgw_xdp", {}, "ends");
    return false;
  }
  const { wrap, realm, peer, offset, length, parsed } = examined;
  const outer = wrap === "plain" ? "plain IP by the uplink" : `GRE (${wrap}) with key ${realm} from ${peer}`;
  const inner = parsed === "forwarded" ? `; inside, at ${offset}, ${length} bytes of IP` : "";
  const data = wrap === "plain" ? {} : { key: realm, peer };
  tell(subject, "decapsulation", `${outer}${inner}`, "xgw_examine", data);
  return true;
}

function dropped(subject: Subject): Ending {
  const { reason } = subject.trial;
  const meaning = reasons.find(({ name }) => name === reason)?.meaning ?? "";
  tell(subject, "xdp", `drops it as ${reason}: ${meaning}`, "xgw_xdp", { reason }, "ends");
  return { verdict: "dropped", by: "xdp" };
}
