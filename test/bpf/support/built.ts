/** The built modules: they find the BPF objects beside them, in dist. */

const built = <T>(path: string) => import(new URL(`../../../dist/src/${path}.js`, import.meta.url).href) as Promise<T>;

type Modules = {
  readonly load: typeof import("../../../src/datapath/load.js");
  readonly pins: typeof import("../../../src/datapath/pins.js");
  readonly entries: typeof import("../../../src/datapath/entries.js");
  readonly generations: typeof import("../../../src/datapath/generations.js");
  readonly accounting: typeof import("../../../src/datapath/accounting.js");
  readonly counters: typeof import("../../../src/datapath/counters.js");
  readonly templates: typeof import("../../../src/datapath/templates.js");
  readonly attachments: typeof import("../../../src/datapath/attachments.js");
};

export const datapathModules: Modules = {
  load: await built("datapath/load"),
  pins: await built("datapath/pins"),
  entries: await built("datapath/entries"),
  generations: await built("datapath/generations"),
  accounting: await built("datapath/accounting"),
  counters: await built("datapath/counters"),
  templates: await built("datapath/templates"),
  attachments: await built("datapath/attachments"),
};
