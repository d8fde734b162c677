// Ways in which a config changes on disk; each is noticed once.
import { execFileSync } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Doubtful } from "../../../src/config/file-cache.js";
import { type ConfigWatch, watchConfig } from "../../../src/daemon/config-watch.js";

/** Longer than the time in which several changes are one. */
const settledMs = 450;

let folder: string;
let config: string;
let tenants: string;
let changes: number;
let doubtful: Doubtful;
let watching: ConfigWatch | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "xgw-watch-"));
  config = join(folder, "xgw.yaml");
  tenants = join(folder, "tenants.d");
  changes = 0;
});
afterEach(() => {
  watching?.close();
  rmSync(folder, { recursive: true });
});

function start(): void {
  watching = watchConfig(config, tenants, (files) => {
    changes++;
    doubtful = files;
  });
}

/** How many changes were noticed after the work was done. */
async function noticed(work: () => void | Promise<void>): Promise<number> {
  const before = changes;
  await work();
  await sleep(settledMs);
  return changes - before;
}

describe("the main file", () => {
  beforeEach(() => {
    writeFileSync(config, "1");
    start();
  });

  it("is written in place", async () => {
    expect(await noticed(() => writeFileSync(config, "2"))).toBe(1);
  });

  it("is replaced by a rename, as editors do it", async () => {
    const replace = () => {
      writeFileSync(join(folder, ".xgw.yaml.swp"), "2");
      renameSync(join(folder, ".xgw.yaml.swp"), config);
    };
    expect(await noticed(replace)).toBe(1);
  });

  it("is replaced a second time", async () => {
    for (let n = 0; n < 2; n++) {
      const replace = () => {
        writeFileSync(join(folder, "new"), `${n}`);
        renameSync(join(folder, "new"), config);
      };
      expect(await noticed(replace), `change ${n + 1}`).toBe(1);
    }
  });

  it("goes and comes back, which is one change", async () => {
    const replace = async () => {
      unlinkSync(config);
      await sleep(50);
      writeFileSync(config, "2");
    };
    expect(await noticed(replace)).toBe(1);
  });

  it("has a neighbour that changes, which is nothing", async () => {
    expect(await noticed(() => writeFileSync(join(folder, "notes.txt"), "2"))).toBe(0);
  });

  it("is no longer watched after the end", async () => {
    watching?.close();
    expect(await noticed(() => writeFileSync(config, "2"))).toBe(0);
  });
});

describe("tenants.d", () => {
  beforeEach(() => writeFileSync(config, "1"));

  it("has a file more", async () => {
    mkdirSync(tenants);
    start();
    expect(await noticed(() => writeFileSync(join(tenants, "10-a.yaml"), "1"))).toBe(1);
  });

  it("has a file less", async () => {
    mkdirSync(tenants);
    writeFileSync(join(tenants, "10-a.yaml"), "1");
    start();
    expect(await noticed(() => unlinkSync(join(tenants, "10-a.yaml")))).toBe(1);
  });

  it("appears", async () => {
    start();
    expect(await noticed(() => mkdirSync(tenants))).toBe(1);
  });

  it("is watched once it has appeared", async () => {
    start();
    await noticed(() => mkdirSync(tenants));
    expect(await noticed(() => writeFileSync(join(tenants, "10-a.yaml"), "1"))).toBe(1);
  });

  it("goes", async () => {
    mkdirSync(tenants);
    start();
    expect(await noticed(() => rmSync(tenants, { recursive: true }))).toBe(1);
  });

  it("is another folder under the same name, and that one is watched", async () => {
    mkdirSync(tenants);
    mkdirSync(join(folder, "next"));
    start();
    await noticed(() => {
      renameSync(tenants, join(folder, "last"));
      renameSync(join(folder, "next"), tenants);
    });
    expect(await noticed(() => writeFileSync(join(tenants, "10-a.yaml"), "1"))).toBe(1);
  });
});

it("a tenants.d that may not be read ends nothing: the daemon goes on, and is told when it may", () => {
  writeFileSync(config, "1");
  mkdirSync(tenants, { mode: 0o700 });
  chownSync(tenants, 65_534, 65_534);
  const watcher = fileURLToPath(new URL("../../../dist/src/daemon/config-watch.js", import.meta.url));
  const script = `
    import { chownSync } from "node:fs";
    import { watchConfig } from ${JSON.stringify(watcher)};
    const watching = watchConfig(${JSON.stringify(config)}, ${JSON.stringify(tenants)}, (files) => {
      console.log(files);
      watching.close();
    });
    chownSync(${JSON.stringify(tenants)}, 0, 0);
  `;
  // As the service has it: root without the capabilities that pass by permissions.
  const caps = ["--bounding-set", "-dac_override,-dac_read_search"];
  const node = [process.execPath, "--input-type=module", "--eval", script];
  expect(execFileSync("setpriv", [...caps, ...node], { encoding: "utf8", stdio: "pipe" })).toBe("all\n");
});

describe("symbolic links", () => {
  /** Points a link elsewhere in one step. */
  function point(link: string, target: string): void {
    symlinkSync(target, `${link}.new`);
    renameSync(`${link}.new`, link);
  }

  it("the main file is one, and points elsewhere", async () => {
    writeFileSync(join(folder, "a"), "1");
    writeFileSync(join(folder, "b"), "2");
    symlinkSync("a", config);
    start();
    expect(await noticed(() => point(config, "b"))).toBe(1);
  });

  it("the main file is below one that points elsewhere, as a mounted ConfigMap has it", async () => {
    for (const version of ["v1", "v2"]) {
      mkdirSync(join(folder, version));
      writeFileSync(join(folder, version, "xgw.yaml"), version);
    }
    symlinkSync("v1", join(folder, "..data"));
    symlinkSync(join("..data", "xgw.yaml"), config);
    start();
    expect(await noticed(() => point(join(folder, "..data"), "v2"))).toBe(1);
  });

  it("tenants.d is below one that points elsewhere", async () => {
    writeFileSync(config, "1");
    for (const version of ["v1", "v2"]) mkdirSync(join(folder, version, "tenants.d"), { recursive: true });
    symlinkSync("v1", join(folder, "..data"));
    symlinkSync(join("..data", "tenants.d"), tenants);
    start();
    expect(await noticed(() => point(join(folder, "..data"), "v2"))).toBe(1);
  });
});

describe("what is exchanged on the way", () => {
  /** Puts another entry in the place of one, which keeps the name `last`. */
  function exchange(entry: string, next: string): void {
    renameSync(entry, join(folder, "last"));
    renameSync(next, entry);
  }

  beforeEach(() => {
    for (const version of ["v1", "v2"]) {
      mkdirSync(join(folder, version, "tenants.d"), { recursive: true });
      writeFileSync(join(folder, version, "xgw.yaml"), version);
      writeFileSync(join(folder, version, "tenants.d", "10-a.yaml"), version);
    }
  });

  it("the main file is a link into another folder, and what it leads to is edited", async () => {
    symlinkSync(join(folder, "v1", "xgw.yaml"), config);
    start();
    expect(await noticed(() => writeFileSync(join(folder, "v1", "xgw.yaml"), "2"))).toBe(1);
  });

  it("the main file is a link, and what it leads to is replaced by a rename", async () => {
    symlinkSync(join("v1", "xgw.yaml"), config);
    start();
    expect(await noticed(() => renameSync(join(folder, "v2", "xgw.yaml"), join(folder, "v1", "xgw.yaml")))).toBe(1);
  });

  it("the main file becomes a link, and what it leads to is edited", async () => {
    writeFileSync(config, "1");
    start();
    await noticed(() => {
      unlinkSync(config);
      symlinkSync(join("v1", "xgw.yaml"), config);
    });
    expect(await noticed(() => writeFileSync(join(folder, "v1", "xgw.yaml"), "2"))).toBe(1);
  });

  it("the folder of the config is another one under the same name, and that one is watched", async () => {
    config = join(folder, "v1", "xgw.yaml");
    tenants = join(folder, "v1", "tenants.d");
    start();
    expect(await noticed(() => exchange(join(folder, "v1"), join(folder, "v2")))).toBe(1);
    expect(doubtful).toBe("all");
    expect(await noticed(() => writeFileSync(config, "3"))).toBe(1);
    expect(await noticed(() => writeFileSync(join(tenants, "10-a.yaml"), "3"))).toBe(1);
  });

  it("the folder of the config is a link that points elsewhere", async () => {
    symlinkSync("v1", join(folder, "current"));
    config = join(folder, "current", "xgw.yaml");
    tenants = join(folder, "current", "tenants.d");
    start();
    expect(
      await noticed(() => {
        symlinkSync("v2", join(folder, "next"));
        renameSync(join(folder, "next"), join(folder, "current"));
      }),
    ).toBe(1);
    expect(await noticed(() => writeFileSync(join(folder, "v2", "tenants.d", "10-a.yaml"), "3"))).toBe(1);
  });

  it("a folder above that of the config is another one", async () => {
    mkdirSync(join(folder, "a", "b"), { recursive: true });
    renameSync(join(folder, "v1"), join(folder, "a", "b", "c"));
    mkdirSync(join(folder, "other", "b"), { recursive: true });
    renameSync(join(folder, "v2"), join(folder, "other", "b", "c"));
    config = join(folder, "a", "b", "c", "xgw.yaml");
    tenants = join(folder, "a", "b", "c", "tenants.d");
    start();
    expect(await noticed(() => exchange(join(folder, "a"), join(folder, "other")))).toBe(1);
  });

  it("tenants.d is a link, and the folder that it leads to is another one", async () => {
    writeFileSync(config, "1");
    symlinkSync(join("v1", "tenants.d"), tenants);
    start();
    expect(await noticed(() => exchange(join(folder, "v1"), join(folder, "v2")))).toBe(1);
    expect(await noticed(() => writeFileSync(join(tenants, "20-b.yaml"), "3"))).toBe(1);
  });

  it("a file of tenants.d is a link into another folder, and what it leads to is edited", async () => {
    writeFileSync(config, "1");
    mkdirSync(tenants);
    symlinkSync(join(folder, "v1", "tenants.d", "10-a.yaml"), join(tenants, "10-a.yaml"));
    start();
    expect(await noticed(() => writeFileSync(join(folder, "v1", "tenants.d", "10-a.yaml"), "3"))).toBe(1);
    expect(doubtful).toEqual(new Set([join(tenants, "10-a.yaml")]));
  });

  it("a link that comes into tenants.d later is followed as well", async () => {
    writeFileSync(config, "1");
    mkdirSync(tenants);
    start();
    await noticed(() => symlinkSync(join(folder, "v1", "tenants.d", "10-a.yaml"), join(tenants, "10-a.yaml")));
    expect(await noticed(() => writeFileSync(join(folder, "v1", "tenants.d", "10-a.yaml"), "3"))).toBe(1);
  });

  it("what no link leads to any more changes, which is nothing", async () => {
    symlinkSync(join("v1", "xgw.yaml"), config);
    start();
    await noticed(() => {
      symlinkSync(join("v2", "xgw.yaml"), `${config}.new`);
      renameSync(`${config}.new`, config);
    });
    expect(await noticed(() => writeFileSync(join(folder, "v1", "xgw.yaml"), "2"))).toBe(0);
  });

  it("what a link leads to goes and comes back later", async () => {
    symlinkSync(join("v1", "xgw.yaml"), config);
    start();
    expect(await noticed(() => rmSync(join(folder, "v1"), { recursive: true }))).toBe(1);
    expect(
      await noticed(() => {
        mkdirSync(join(folder, "v1"));
        writeFileSync(join(folder, "v1", "xgw.yaml"), "2");
      }),
    ).toBe(1);
  });
});

describe("what may have changed", () => {
  const named = (...names: string[]) => new Set(names.map((name) => join(tenants, name)));
  const write = (...names: string[]) => {
    for (const name of names) writeFileSync(join(tenants, name), "2");
  };
  beforeEach(() => {
    writeFileSync(config, "1");
    mkdirSync(tenants);
    write("10-a.yaml", "20-b.yaml", "30-c.yaml");
    start();
  });

  it("are the files that were written, replaced or removed", async () => {
    await noticed(() => {
      write("10-a.yaml", "40-d.yaml~");
      renameSync(join(tenants, "40-d.yaml~"), join(tenants, "40-d.yaml"));
      unlinkSync(join(tenants, "20-b.yaml"));
    });
    expect(doubtful).toEqual(named("10-a.yaml", "20-b.yaml", "40-d.yaml"));
  });

  it("is the main file", async () => {
    await noticed(() => writeFileSync(config, "2"));
    expect(doubtful).toEqual(new Set([config]));
  });

  it("are the files of one change only", async () => {
    await noticed(() => write("10-a.yaml"));
    await noticed(() => write("20-b.yaml"));
    expect(doubtful).toEqual(named("20-b.yaml"));
  });

  it("is everything when tenants.d is another folder", async () => {
    mkdirSync(join(folder, "next"));
    await noticed(() => {
      renameSync(tenants, join(folder, "last"));
      renameSync(join(folder, "next"), tenants);
    });
    expect(doubtful).toBe("all");
  });

  it("is everything when many files change at once: the kernel may not have told of all", async () => {
    await noticed(() => write(...Array.from({ length: 65 }, (_, n) => `${n}.yaml`)));
    expect(doubtful).toBe("all");
  });
});

it("a file that is written without end is noticed all the same", async () => {
  writeFileSync(config, "1");
  start();
  const writing = setInterval(() => writeFileSync(config, "2"), 20);
  await sleep(1000);
  clearInterval(writing);
  expect(changes).toBeGreaterThan(0);
});
