import { existsSync, writeFileSync } from "node:fs";
import { output, runLogged } from "./command.mjs";
import { SetupError } from "./error.mjs";
import { debianCodename } from "./platform.mjs";

const qemu = { x64: "qemu-system-x86", arm64: "qemu-system-arm" }[process.arch] ?? "qemu-system";

const packages = [
  // builds
  ...["clang-19", "llvm-19", "clang-format-19", "bpftool", "libbpf-dev", "libelf-dev", "zlib1g-dev"],
  ...["cmake", "make", "g++", "pkg-config"],
  // runs: xgw itself, the lab and its checks
  ...["iproute2", "nftables", "conntrack", "ethtool", "kmod", "iputils-ping", "procps"],
  // what the command is looked at with: shells that complete it, what renders its man pages
  ...["zsh", "fish", "mandoc", "groff-base"],
  // the VM
  ...[qemu, "busybox-static", "xz-utils", "zstd"],
];

/** Versions that count; for all others the one that Debian has will do. */
const oldest = { "libbpf-dev": [1, 4] };

/** The packages that are not installed, or too old. */
export function missingPackages() {
  if (process.env.XGW_SKIP_PACKAGES) return [];
  // "pkg-config" is provided by pkgconf on Debian 13.
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query fills it in
  const format = "${Package} ${Version} ${db:Status-Status} ${Provides}\n";
  const installed = new Map();
  for (const line of output("dpkg-query", ["-W", "-f", format]).split("\n")) {
    const [name, version, status, ...provides] = line.split(" ");
    if (status !== "installed") continue;
    for (const provided of provides.join(" ").matchAll(/[a-z0-9][a-z0-9+.-]+/g)) installed.set(provided[0], "");
    installed.set(name, version);
  }
  return packages.filter((name) => !installed.has(name) || tooOld(name, installed.get(name)));
}

/** Ends the set-up if these packages cannot be installed here. */
export function requireInstallable(names) {
  debianCodename();
  if (process.getuid() === 0) return;
  throw new SetupError(
    `these Debian packages are missing or too old:\n         ${names.join(" ")}\n` +
      '       Install them as root, or run "npm run setup" as root once.',
  );
}

export async function installMissing(names) {
  const codename = debianCodename();
  process.stderr.write(`setup: installing Debian packages: ${names.join(" ")}\n`);
  await apt("apt-get update", ["update"]);
  let wanted = names;
  if (names.includes("libbpf-dev") && !libbpfInReach()) {
    if (codename !== "bookworm") throw new SetupError(`Debian ${codename} has no libbpf-dev 1.4 or newer`);
    await addBackports();
  }
  // Backports are not what apt takes by itself.
  if (names.includes("libbpf-dev") && tooOld("libbpf-dev", candidate("libbpf-dev"))) {
    wanted = names.map((name) => (name === "libbpf-dev" ? `${name}/${codename}-backports` : name));
  }
  await apt("apt-get install", ["install", "--yes", "--no-install-recommends", ...wanted]);
  const still = missingPackages();
  if (still.length > 0) throw new SetupError(`apt-get has not installed ${still.join(" ")}`);
}

async function apt(title, args) {
  const deadline = Date.now() + 300_000;
  const locked = (text) => /Could not get lock|Unable to acquire the dpkg frontend lock|Unable to lock/.test(text);
  for (;;) {
    let busy = false;
    const remedy = (text) => {
      busy = locked(text);
      if (busy) return "another package manager holds the lock: try again when it is done";
      return /Temporary failure resolving|Could not connect|Failed to fetch|Unable to locate/.test(text)
        ? "is the network up, and does /etc/apt name a Debian mirror?"
        : undefined;
    };
    try {
      return await runLogged(title, "apt-get", ["-q", "-o", "DPkg::Lock::Timeout=300", ...args], {
        env: { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" },
        remedy,
      });
    } catch (error) {
      if (!busy || Date.now() > deadline) throw error;
      process.stderr.write("setup: another package manager is at work; waiting\n");
      await new Promise((resolve) => setTimeout(resolve, 5_000));
    }
  }
}

async function addBackports() {
  const path = "/etc/apt/sources.list.d/xgw-backports.sources";
  if (!existsSync(path)) {
    process.stderr.write(`setup: Debian 12's libbpf is too old: adding bookworm-backports in ${path}\n`);
    writeFileSync(
      path,
      [
        "# Written by xgw's set-up: libbpf-dev 1.4 is there.",
        "Types: deb",
        "URIs: http://deb.debian.org/debian",
        "Suites: bookworm-backports",
        "Components: main",
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg",
        "",
      ].join("\n"),
    );
  }
  await apt("apt-get update", ["update"]);
}

function libbpfInReach() {
  const versions = output("apt-cache", ["madison", "libbpf-dev"])
    .split("\n")
    .map((line) => line.split("|")[1]?.trim());
  return versions.some((version) => version && !tooOld("libbpf-dev", version));
}

function candidate(name) {
  return /Candidate: (\S+)/.exec(output("apt-cache", ["policy", name]))?.[1] ?? "0";
}

function tooOld(name, version) {
  const floor = oldest[name];
  if (!floor) return false;
  const [major = 0, minor = 0] = version
    .replace(/^\d+:/, "")
    .split(/[.~+-]/)
    .map(Number);
  return major < floor[0] || (major === floor[0] && minor < floor[1]);
}
