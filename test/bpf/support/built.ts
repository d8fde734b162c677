/** The built modules: they find the BPF objects beside them, in dist. */

import { makeOtherVersion } from "../../../vm/other-version.js";

const dist = (path: string) => new URL(`../../../dist/${path}`, import.meta.url);

export interface DatapathModules {
  readonly objects: typeof import("../../../src/datapath/objects.js");
  readonly move: typeof import("../../../src/datapath/move.js");
  readonly programs: typeof import("../../../src/datapath/programs.js");
  readonly eventTap: typeof import("../../../src/datapath/event-tap.js");
  readonly load: typeof import("../../../src/datapath/load.js");
  readonly pins: typeof import("../../../src/datapath/pins.js");
  readonly entries: typeof import("../../../src/datapath/entries.js");
  readonly generations: typeof import("../../../src/datapath/generations.js");
  readonly accounting: typeof import("../../../src/datapath/accounting.js");
  readonly counters: typeof import("../../../src/datapath/counters.js");
  readonly templates: typeof import("../../../src/datapath/templates.js");
  readonly usage: typeof import("../../../src/datapath/usage.js");
  readonly attachments: typeof import("../../../src/datapath/attachments.js");
}

async function modulesIn(folder: string): Promise<DatapathModules> {
  const built = (name: string) => import(dist(`${folder}/datapath/${name}.js`).href);
  return {
    objects: await built("objects"),
    move: await built("move"),
    programs: await built("programs"),
    eventTap: await built("event-tap"),
    load: await built("load"),
    pins: await built("pins"),
    entries: await built("entries"),
    generations: await built("generations"),
    accounting: await built("accounting"),
    counters: await built("counters"),
    templates: await built("templates"),
    usage: await built("usage"),
    attachments: await built("attachments"),
  };
}

export const datapathModules = await modulesIn("src");

/** Another version of xgw: other maps, other offsets. */
export async function otherVersion(): Promise<DatapathModules> {
  await makeOtherVersion();
  return modulesIn("other/src");
}
