/** The health of the gateway that a config file describes. */

import { loadConfig } from "../config/load.js";
import { findDaemon } from "../daemon-socket.js";
import { diagnose, type Health, watchMs } from "../doctor.js";

/** @throws ConfigError, PermissionError */
export async function readHealth(configFile: string): Promise<Health> {
  const { config } = await loadConfig(configFile);
  const daemon = await findDaemon(configFile, config.instance);
  const { health } = await diagnose(config, { daemon, watchMs });
  return health;
}
