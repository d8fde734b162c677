import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SetupError } from "./error.mjs";
import { stateDir } from "./paths.mjs";

/** Runs work while no other set-up of this checkout does. A lock whose owner has died is taken over. */
export async function withLock(work) {
  mkdirSync(stateDir, { recursive: true });
  const path = join(stateDir, "lock");
  for (let said = false; !take(path); said = true) {
    if (!said) process.stderr.write("setup: waiting for the set-up that runs in this checkout already\n");
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  const release = () => rmSync(path, { force: true });
  process.once("exit", release);
  try {
    return await work();
  } finally {
    process.off("exit", release);
    release();
  }
}

function take(path) {
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") {
      throw new SetupError(`cannot write ${path} (${error.code}): run this as the owner of the checkout, or as root`);
    }
  }
  if (!ownerLives(path)) rmSync(path, { force: true });
  return false;
}

function ownerLives(path) {
  try {
    process.kill(Number(readFileSync(path, "utf8")) || Number.NaN, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
