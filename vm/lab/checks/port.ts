/** Whether the client reaches a port of user1's that the config may or may not open. */

import type { Lab } from "../check.js";

export async function stateOfPort(
  { client, user1 }: Pick<Lab, "client" | "user1">,
  port: number,
): Promise<"open" | "closed"> {
  await user1.serveTcp({ port, seed: 9, bytes: 8 });
  const outcome = await client.connectTcp({ host: "2.2.2.11", port, seed: 9, bytes: 8, timeoutMs: 2500 }).then(
    () => "open" as const,
    () => "closed" as const,
  );
  await user1.close(port);
  return outcome;
}
