/** Where the checkout is, from the sources and from what is built of them alike. */
import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";

function find(): URL {
  for (let at = new URL("./", import.meta.url); at.pathname !== "/"; at = new URL("../", at)) {
    if (existsSync(new URL("native/package.json", at))) return at;
  }
  return pathToFileURL(`${process.cwd()}/`);
}

export const root: URL = find();
