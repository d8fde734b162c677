// When everything is compared with the kernel though nothing told to.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FullCheck } from "../../../src/daemon/full-check.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** After how many seconds the check comes; undefined: not in an hour. */
function secondsUntil(act: (check: FullCheck) => void): number | undefined {
  let seconds: number | undefined;
  const started = performance.now();
  const check = new FullCheck(() => {
    seconds = (performance.now() - started) / 1000;
  });
  act(check);
  vi.advanceTimersByTime(3_600_000);
  check.stop();
  return seconds;
}

const wait = (seconds: number) => vi.advanceTimersByTime(1000 * seconds);

it("a small gateway is compared every minute", () => expect(secondsUntil((check) => check.compared(80))).toBe(60));

it("a large one so seldom that it takes 2 % of the time", () =>
  expect(secondsUntil((check) => check.compared(5000))).toBe(5 * 49));

it("a repair of one tenant is followed by it", () => expect(secondsUntil((check) => check.doubt())).toBe(5));

it("with a large gateway that takes a fifth of the time", () =>
  expect(
    secondsUntil((check) => {
      check.compared(5000);
      check.doubt();
    }),
  ).toBe(20));

it("one repair after the other does not put it off", () =>
  expect(
    secondsUntil((check) => {
      for (let repairs = 0; repairs < 10; repairs++) {
        check.doubt();
        wait(1);
      }
    }),
  ).toBe(5));

it("a repair shortly before it is due does not put it off", () =>
  expect(
    secondsUntil((check) => {
      wait(59);
      check.doubt();
    }),
  ).toBe(60));

it("a comparison for another reason puts it off", () =>
  expect(
    secondsUntil((check) => {
      wait(30);
      check.compared(80);
    }),
  ).toBe(90));

it("it comes once, until somebody has compared", () => {
  let times = 0;
  const check = new FullCheck(() => times++);
  wait(3600);
  check.stop();
  expect(times).toBe(1);
});

describe("when notifications are lost", () => {
  /** When it comes, in seconds, if notifications are lost every so often and a comparison takes so long. */
  function comparedAt(lostEveryMs: number, tookMs: number, seconds: number): number[] {
    const times: number[] = [];
    const started = performance.now();
    const check: FullCheck = new FullCheck((why) => {
      expect(why).toBe("notifications lost");
      times.push(Math.floor((performance.now() - started) / 1000));
      setTimeout(() => check.compared(tookMs), tookMs);
    });
    const losing = setInterval(() => check.lost(), lostEveryMs);
    wait(seconds);
    clearInterval(losing);
    check.stop();
    return times;
  }

  it("it comes at once the first time", () => expect(comparedAt(1, 100, 1)).toEqual([0]));

  it("without end, it comes every 5 s", () => expect(comparedAt(1, 0, 16)).toEqual([0, 5, 10, 15]));

  it("without end, it takes a fifth of the time of a large gateway", () =>
    expect(comparedAt(1, 5000, 60)).toEqual([0, 25, 50]));

  it("while everything is compared, it comes again", () => {
    const why: string[] = [];
    const check = new FullCheck((one) => why.push(one));
    check.lost();
    wait(1);
    check.lost();
    check.compared(100);
    wait(6);
    check.stop();
    expect(why).toEqual(["notifications lost", "notifications lost"]);
  });

  it("until it has come to its end, there is doubt", () => {
    let asked = 0;
    const check = new FullCheck(() => asked++);
    const seen = [check.isDoubtful];
    const next = () => seen.push(check.isDoubtful);
    check.lost();
    next(); // it is about to be asked for
    wait(1);
    next(); // asked for, and not done
    check.compared(100);
    next();
    check.lost();
    wait(1);
    next(); // put off, for the last one is not long ago
    check.stop();
    expect([asked, ...seen]).toEqual([1, false, true, true, false, true]);
  });

  it("long after the last time, it comes at once again", () => {
    expect(comparedAt(30_000, 100, 65)).toEqual([30, 60]);
  });
});

it("it does not come any more once it is stopped", () => expect(secondsUntil((check) => check.stop())).toBeUndefined());
