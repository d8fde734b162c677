// Makes a fresh clone on Debian 12 or 13 ready to run: packages, npm modules, builds. Does only what is still to be
// done, and with nothing to do it ends in a fraction of a second. Plain Node.js: it runs before anything is installed.
import { SetupError } from "./setup/error.mjs";
import { withLock } from "./setup/lock.mjs";
import { installMissing, missingPackages, requireInstallable } from "./setup/packages.mjs";
import { withSystemPrograms } from "./setup/path.mjs";
import { requireNode } from "./setup/platform.mjs";
import { pendingSteps } from "./setup/steps.mjs";

async function main() {
  requireNode();
  process.env.PATH = withSystemPrograms(process.env.PATH);
  const missingNow = missingPackages();
  if (missingNow.length === 0 && pendingSteps().length === 0) return;
  if (missingNow.length > 0) requireInstallable(missingNow);
  await withLock(async () => {
    const started = performance.now();
    const missing = missingPackages();
    if (missing.length > 0) await installMissing(missing);
    // A step can change what a later one is made from, so look again after each. The bound is for a build that
    // changes its own sources without end.
    for (let [step, rounds] = [pendingSteps()[0], 0]; step && rounds < 10; step = pendingSteps()[0], rounds++) {
      await step.run();
    }
    process.stderr.write(`setup: ready after ${((performance.now() - started) / 1000).toFixed(0)} s\n`);
  });
}

try {
  await main();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`setup: ${error.message}\n`);
  process.exitCode = 1;
}
