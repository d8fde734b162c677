import { readFileSync } from "node:fs";
import { SetupError } from "./error.mjs";

/** As `engines` in package.json has it: what the dependencies admit. */
export function isNodeAdmitted(version) {
  const [major, minor] = version.split(".").map(Number);
  return (major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22;
}

export function requireNode(version = process.versions.node) {
  if (isNodeAdmitted(version)) return;
  throw new SetupError(
    `xgw needs Node.js 20 from 20.19, or 22.12 or newer; this is ${version}.\n` +
      "       Debian 13 has it (apt-get install nodejs npm); for Debian 12 take the packages of deb.nodesource.com.",
  );
}

/** The codename ("bookworm") of the Debian that runs here. */
export function debianCodename() {
  const fields = new Map();
  for (const line of readOsRelease().split("\n")) {
    const match = /^(\w+)="?(.*?)"?$/.exec(line);
    if (match) fields.set(match[1], match[2]);
  }
  if (fields.get("ID") !== "debian") {
    throw new SetupError(
      `xgw sets itself up on Debian 12 and 13; this is ${fields.get("PRETTY_NAME") ?? "something else"}.\n` +
        "       Install what vm/setup/packages.mjs lists and set XGW_SKIP_PACKAGES=1.",
    );
  }
  return fields.get("VERSION_CODENAME") ?? "";
}

function readOsRelease() {
  try {
    return readFileSync("/etc/os-release", "utf8");
  } catch {
    return "";
  }
}
