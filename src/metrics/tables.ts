/** How full the data path's tables are. No line of them is read: what is in use is counted where it is taken. */

import type { Pins } from "../datapath/pins.js";
import { type CountedResource, countedTables, type TenantShares } from "../datapath/shares.js";
import { capacityOf } from "../datapath/usage.js";
import type { Exposition } from "../exposition.js";

/** @param counted by tenant id: all that there are */
export function addTables(exposition: Exposition, pins: Pins, counted: ReadonlyMap<number, TenantShares>): void {
  const tables = Object.keys(countedTables) as CountedResource[];
  const used = exposition.gauge("xgw_table_used", "Places in use of a table that tenants share.");
  for (const table of tables) {
    let sum = 0;
    for (const { usage } of counted.values()) sum += usage[table].used;
    used({ table }, sum);
  }
  const capacity = exposition.gauge("xgw_table_capacity", "Places that such a table has.");
  for (const table of tables) capacity({ table }, capacityOf(pins, countedTables[table]));
}
