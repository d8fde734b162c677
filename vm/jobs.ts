/**
 * What a run of the tests consists of: the tests of this kernel are one job; those for the VM are another, but for e2e, of
 * which each folder has a VM of its own, so that none finds what another has left.
 */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { missingForBpf, missingForGateway } from "./capable.js";
import { repoRoot } from "./root.js";
import { type TestArgs, type TestProject, testProjects } from "./test-args.js";

export interface Job {
  /** For the beginning of its lines. */
  readonly name: string;
  readonly projects: readonly TestProject[];
  /** Parts of paths; all files of the projects when empty. */
  readonly files: readonly string[];
  readonly inVm: boolean;
  /** What this kernel lacks for it. */
  readonly missing: readonly string[];
}

/** @returns the jobs in the order in which they are to be begun */
export async function planJobs({ projects, kernel, files }: TestArgs): Promise<Job[]> {
  const wanted = projects.filter((project) => filesOf(project).length > 0);
  const forBpf = wanted.includes("native") || wanted.includes("bpf") ? await missingForBpf() : [];
  const lacking: Record<TestProject, readonly string[]> = {
    unit: [],
    native: forBpf,
    bpf: forBpf,
    e2e: wanted.includes("e2e") ? await missingForGateway() : [],
  };
  const needsVm = (project: TestProject) => project !== "unit" && (kernel !== undefined || lacking[project].length > 0);
  const here = wanted.filter((project) => !needsVm(project));
  const elsewhere = wanted.filter((project) => needsVm(project) && project !== "e2e");
  const job = (name: string, of: readonly TestProject[], inVm: boolean, some: readonly string[]): Job => ({
    name,
    projects: of,
    files: some,
    inVm,
    missing: inVm ? [...new Set(of.flatMap((project) => lacking[project]))] : [],
  });
  const e2e = wanted.includes("e2e") && needsVm("e2e") ? filesOf("e2e").filter((file) => isWanted(file, files)) : [];
  return [
    // What takes longest first, so that nothing is left to one lane at the end.
    ...[...byFolder(e2e)]
      .sort(([, some], [, others]) => others.length - some.length)
      .map(([folder, some]) => job(folder, ["e2e"], true, some)),
    ...(here.length > 0 ? [job("here", here, false, files)] : []),
    ...(elsewhere.length > 0 ? [job("vm", elsewhere, true, files)] : []),
  ];
}

/** Paths of a project's test files. */
function filesOf(project: TestProject): string[] {
  const dir = join("test", project);
  if (!existsSync(join(repoRoot, dir))) return [];
  return readdirSync(join(repoRoot, dir), { recursive: true })
    .map((name) => join(dir, String(name)))
    .filter((path) => path.endsWith(".test.ts"))
    .sort();
}

/** What takes longer than a run of all tests may is run when it is asked for. */
const isWanted = (file: string, parts: readonly string[]): boolean =>
  parts.length === 0 ? !file.startsWith("test/e2e/long/") : parts.some((part) => file.includes(part));

/** test/e2e/FOLDER/FILE by FOLDER. */
function byFolder(paths: readonly string[]): Map<string, string[]> {
  const folders = new Map<string, string[]>();
  for (const path of paths) {
    const [, , folder = ""] = path.split("/");
    folders.set(folder, [...(folders.get(folder) ?? []), path]);
  }
  return folders;
}

export function projectsWithoutTests(projects: readonly TestProject[]): TestProject[] {
  return testProjects.filter((project) => projects.includes(project) && filesOf(project).length === 0);
}
