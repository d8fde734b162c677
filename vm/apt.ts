import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "./exec.js";

/** A Debian suite read through an apt root of our own: the machine's apt configuration stays as it is. */
export class AptSuite {
  readonly #options: string[];

  private constructor(
    readonly suite: string,
    readonly arch: string,
    readonly dir: string,
  ) {
    const set = (name: string, value: string) => ["-o", `${name}=${value}`];
    this.#options = [
      ...set("Dir::Etc::SourceList", join(dir, "sources.list")),
      ...set("Dir::Etc::SourceParts", "/dev/null"),
      ...set("Dir::Etc::Preferences", "/dev/null"),
      ...set("Dir::Etc::PreferencesParts", "/dev/null"),
      ...set("Dir::State::Lists", join(dir, "lists")),
      ...set("Dir::Cache", dir),
      ...set("APT::Architectures", arch),
      ...set("APT::Sandbox::User", "root"),
      ...set("Acquire::Languages", "none"),
      ...set("Acquire::Retries", "3"),
    ];
  }

  static async open(suite: string, arch: string, dir: string): Promise<AptSuite> {
    const mirror = process.env.XGW_DEBIAN_MIRROR ?? "http://deb.debian.org/debian";
    const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    await mkdir(join(dir, "lists", "partial"), { recursive: true });
    await mkdir(join(dir, "archives", "partial"), { recursive: true });
    await writeFile(join(dir, "sources.list"), `deb [signed-by=${keyring}] ${mirror} ${suite} main\n`);
    const apt = new AptSuite(suite, arch, dir);
    await exec("apt-get", [...apt.#options, "-o", "APT::Update::Error-Mode=any", "-qq", "update"]);
    return apt;
  }

  /** The names of the packages that match a regular expression. */
  async search(pattern: string): Promise<string[]> {
    const text = await exec("apt-cache", [...this.#options, "search", "--names-only", pattern]);
    return text.split("\n").flatMap((line) => line.split(" - ")[0] || []);
  }

  /** The fields of the newest version of a package; undefined if the suite has no such package. */
  async show(name: string): Promise<Map<string, string> | undefined> {
    const text = await exec("apt-cache", [...this.#options, "show", "--no-all-versions", name]).catch(() => "");
    const fields = new Map<string, string>();
    for (const line of text.split("\n")) {
      const match = /^([A-Za-z-]+): (.*)$/.exec(line);
      if (match?.[1] && match[2] !== undefined) fields.set(match[1], match[2]);
    }
    return fields.size > 0 ? fields : undefined;
  }

  /** Downloads packages into a directory and returns the files' paths. */
  async download(names: readonly string[], into: string): Promise<string[]> {
    await mkdir(into, { recursive: true });
    await exec("apt-get", [...this.#options, "-qq", "download", ...names], { cwd: into });
    return (await readdir(into)).filter((file) => file.endsWith(".deb")).map((file) => join(into, file));
  }
}
