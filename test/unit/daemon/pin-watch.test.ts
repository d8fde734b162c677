// The folders of the pins are watched, also when they are made anew.
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { watchPins } from "../../../src/daemon/pin-watch.js";

/** A watched folder with a pin, and how often something was told. */
function watched() {
  const folder = join(mkdtempSync(join(tmpdir(), "xgw-pins-")), "links");
  const make = (path: string) => {
    mkdirSync(path);
    writeFileSync(join(path, "pin"), "");
  };
  make(folder);
  /** Another folder of that name: with another inode number, as bpffs gives none twice. */
  const replace = () => {
    make(`${folder}-new`);
    rmSync(folder, { recursive: true });
    renameSync(`${folder}-new`, folder);
  };
  let told: string[] = [];
  const watch = watchPins(
    () => [folder, join(folder, "missing")],
    (path) => told.push(path),
  );
  onTestFinished(() => watch.close());
  onTestFinished(() => rmSync(join(folder, ".."), { recursive: true }));
  const remove = () => rmSync(join(folder, "pin"));
  /** What has been told since the last time. */
  const whatIsTold = async () => {
    for (let waits = 0; waits < 50 && told.length === 0; waits++) await sleep(20);
    const before = told;
    told = [];
    return before;
  };
  const hasTold = async () => (await whatIsTold()).length > 0;
  return { folder, watch, replace, remove, hasTold, whatIsTold };
}

it("a pin that goes is told by its path", async () => {
  const { folder, remove, whatIsTold } = watched();
  remove();
  expect(await whatIsTold()).toEqual([join(folder, "pin")]);
});

it("a pin that goes from a folder that was made anew is told after a renewal", async () => {
  const { watch, replace, remove, hasTold } = watched();
  replace();
  watch.renew();
  await sleep(100);
  await hasTold();
  remove();
  expect(await hasTold()).toBe(true);
});

it("what has happened before a renewal is told after it", async () => {
  const { watch, remove, hasTold } = watched();
  remove();
  watch.renew();
  expect(await hasTold()).toBe(true);
});

it("nothing is told once it is closed", async () => {
  const { watch, remove, hasTold } = watched();
  watch.close();
  remove();
  expect(await hasTold()).toBe(false);
});
