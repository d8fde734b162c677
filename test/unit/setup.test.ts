// What the set-up knows before anything is installed.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { withSystemPrograms } from "../../src/kernel/system-path.js";

const { withSystemPrograms: ofSetup } = (await import(new URL("../../vm/setup/path.mjs", import.meta.url).href)) as {
  withSystemPrograms: (path: string) => string;
};
const { isNodeAdmitted } = (await import(new URL("../../vm/setup/platform.mjs", import.meta.url).href)) as {
  isNodeAdmitted: (version: string) => boolean;
};

describe("Node.js", () => {
  const versions = ["18.20.4", "20.18.3", "20.19.0", "20.20.2", "21.7.3", "22.11.0", "22.12.0", "24.1.0"];

  it("is admitted from 20.19 on, and from 22.12 on, as the dependencies have it", () => {
    expect(versions.filter(isNodeAdmitted)).toEqual(["20.19.0", "20.20.2", "22.12.0", "24.1.0"]);
  });

  it("is said the same of in both packages", () => {
    const engines = ["package.json", "native/package.json"].map(
      (file) => JSON.parse(readFileSync(new URL(`../../${file}`, import.meta.url), "utf8")).engines.node,
    );
    expect(engines).toEqual(["^20.19 || >=22.12", "^20.19 || >=22.12"]);
  });
});

describe("the search path", () => {
  it("of root by a plain su gets the folders of the system's programs", () => {
    const path = "/usr/local/bin:/usr/bin:/bin:/usr/games";
    expect(withSystemPrograms(path)).toBe(`${path}:/usr/local/sbin:/usr/sbin:/sbin`);
  });

  it("keeps its order, and gets nothing twice", () => {
    expect(withSystemPrograms("/usr/sbin:/mine:/usr/bin")).toBe("/usr/sbin:/mine:/usr/bin:/usr/local/sbin:/sbin");
  });

  it("is the same for the set-up", () => {
    for (const path of ["", "/usr/bin", "/usr/sbin:/sbin"]) expect(ofSetup(path)).toBe(withSystemPrograms(path));
  });
});
