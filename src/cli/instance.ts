/** `--instance`, for when the config that names it is gone or broken. */

import { UsageError } from "../errors.js";

/** The name becomes a folder of bpffs and an nft table, so what the config would refuse is refused here. */
export async function checkInstance(instance: string): Promise<void> {
  const { instanceName } = await import("../config/scalars.js");
  if (instanceName.safeParse(instance).success) return;
  throw new UsageError(`--instance: ${JSON.stringify(instance)} is no instance name`, {
    remedy: "use 1 to 15 of a-z, 0-9 and -, and a letter or digit first",
  });
}
