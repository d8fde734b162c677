// The seed deployment on real traffic: what the demo shows, then sizes, config edits and damage under a running daemon.
import { describe } from "vitest";
import { tearDown } from "../../../vm/lab/checks/operation.js";
import { demoChecks, moreChecks } from "../../../vm/lab/checks.js";
import { seedLab } from "../../../vm/lab/lab.js";
import { inLab } from "../support/in-lab.js";

/** Enough to tell a flow's first packets from the rest; the demo sends more. */
const bulkBytes = 8 * 2 ** 20;
const all = [...demoChecks.filter((check) => check !== tearDown), ...moreChecks, tearDown];

describe("the seed deployment", () => inLab(() => seedLab("gretap", bulkBytes), all));
