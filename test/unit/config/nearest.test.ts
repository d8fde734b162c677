import { expect, it } from "vitest";
import { nearest } from "../../../src/config/nearest.js";

it.each([
  ["adress", "address"],
  ["public_ips", "publicIps"],
  ["PORTFORWARDS", "portForwards"],
  ["rotues", "routes"],
  ["limit", "limits"],
])("%s was meant to be %s", (word, wanted) => {
  expect(nearest(word, ["name", "address", "publicIps", "portForwards", "routes", "limits"])).toBe(wanted);
});

it("a word like no other gets no guess", () => {
  expect(nearest("colour", ["name", "address", "routes"])).toBeUndefined();
});
