// A public side of plain IP in a VLAN of a second NIC, with one tenant on a gretap tunnel and one on a gre tunnel.
import { readFile } from "node:fs/promises";
import { describe } from "vitest";
import { uplinkChecks } from "../../../vm/lab/checks/uplink.js";
import { exampleFile } from "../../../vm/lab/lab.js";
import { inLab } from "../support/in-lab.js";

const lab = async () => ({
  topology: { tunnels: ["gretap", "gre"], uplink: { nic: "eth1", tags: [{ id: 100 }] } } as const,
  config: await readFile(exampleFile("plain-uplink.yaml"), "utf8"),
  bulkBytes: 4 * 2 ** 20,
});

describe("with a plain uplink", () => inLab(lab, uplinkChecks));
