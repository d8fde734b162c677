/**
 * What makes a shell complete `xgw`: it hands the words of the line to the command that is being completed, and shows what
 * that answers. So the scripts know no verb, and hold for every version.
 */

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { XgwError } from "../../errors.js";

/** The names that their packages' folders want. */
const files = { bash: "xgw.bash", zsh: "_xgw", fish: "xgw.fish" } as const;

export type Shell = keyof typeof files;

/** Of the bundle, of the sources, and of what is built of these. */
const folders = ["../completion/", "../../../package/completion/", "../../../../package/completion/"];

/** @throws XgwError when xgw is not installed whole */
export function scriptFor(shell: Shell): string {
  const places = folders.map((folder) => fileURLToPath(new URL(folder + files[shell], import.meta.url)));
  const found = places.find((place) => existsSync(place));
  if (found !== undefined) return readFileSync(found, "utf8");
  throw new XgwError(`the completion for ${shell} is missing (looked for ${places.join(", ")})`, {
    remedy: "install xgw again",
  });
}
