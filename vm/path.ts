/** Whoever imports this, and what it starts, finds the system's programs: see src/kernel/system-path.ts. */

import { withSystemPrograms } from "../src/kernel/system-path.js";

process.env.PATH = withSystemPrograms(process.env.PATH);
