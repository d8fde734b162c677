import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { missingForBpf, missingForGateway } from "./capable.js";
import { repoRoot } from "./root.js";
import { type TestProject, testProjects } from "./test-args.js";

export interface Places {
  readonly here: readonly TestProject[];
  readonly inVm: readonly TestProject[];
  /** What this kernel lacks for those that run in the VM. */
  readonly missing: readonly string[];
}

/** Which test projects run on this kernel and which in the VM. Projects without a test file are left out. */
export async function placeProjects(projects: readonly TestProject[], kernel: string | undefined): Promise<Places> {
  const wanted = projects.filter(hasTests);
  const lacking: Record<TestProject, readonly string[]> = { unit: [], native: [], bpf: [], e2e: [] };
  if (wanted.includes("native") || wanted.includes("bpf")) lacking.native = lacking.bpf = await missingForBpf();
  if (wanted.includes("e2e")) lacking.e2e = await missingForGateway();
  const needsVm = (project: TestProject) => project !== "unit" && (kernel !== undefined || lacking[project].length > 0);
  const inVm = wanted.filter(needsVm);
  return {
    here: wanted.filter((project) => !needsVm(project)),
    inVm,
    missing: [...new Set(inVm.flatMap((project) => lacking[project]))],
  };
}

function hasTests(project: TestProject): boolean {
  const dir = join(repoRoot, "test", project);
  return existsSync(dir) && readdirSync(dir, { recursive: true }).some((file) => String(file).endsWith(".test.ts"));
}

export function projectsWithoutTests(projects: readonly TestProject[]): TestProject[] {
  return testProjects.filter((project) => projects.includes(project) && !hasTests(project));
}
