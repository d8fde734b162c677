import { readFileSync } from "node:fs";
import { SetupError } from "./error.mjs";

const oldestNode = [20, 19];

export function requireNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return;
  throw new SetupError(
    `xgw needs Node.js ${oldestNode.join(".")} or newer; this is ${process.versions.node}.\n` +
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
