// Builds dist/xgw_<version>_<architecture>.deb: the bundle under /usr/lib/xgw, the unit, an example of a config, a man page.
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const parts = join(root, "package", "deb");
const stage = join(root, "dist", ".deb");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const output = (command, ...args) => execFileSync(command, args, { encoding: "utf8" }).trim();
const architecture = output("dpkg", "--print-architecture");
const debVersion = `${version}-1`;

/** The version of a library that the addon is linked with here: no older one is known to do. */
function atLeast(library) {
  const installed = output("dpkg-query", "-W", "-f", "$" + "{Version}", `${library}:${architecture}`);
  return `${library} (>= ${installed.replace(/-[^-]*$/, "")})`;
}

function put(path, content, mode = 0o644) {
  const target = join(stage, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, content);
  chmodSync(target, mode);
}

const part = (name) => readFileSync(join(parts, name), "utf8");
const compressed = (text) => gzipSync(text, { level: 9 });

rmSync(stage, { recursive: true, force: true });

// The program. The maps of its source stay behind: they are twice its size.
cpSync(join(root, "dist", "xgw"), join(stage, "usr/lib/xgw"), {
  recursive: true,
  filter: (path) => !path.endsWith(".js.map"),
});
rmSync(join(stage, "usr/lib/xgw/bpf/LICENSE"), { force: true });
const main = join(stage, "usr/lib/xgw/lib/main.js");
writeFileSync(main, readFileSync(main, "utf8").replace(/^#!.*/, "#!/usr/bin/node"));
for (const file of readdirSync(dirname(main))) {
  const path = join(dirname(main), file);
  writeFileSync(path, readFileSync(path, "utf8").replace(/\n?\/\/# sourceMappingURL=.*\n?$/, "\n"));
}
mkdirSync(join(stage, "usr/bin"), { recursive: true });
symlinkSync("../lib/xgw/lib/main.js", join(stage, "usr/bin/xgw"));

for (const unit of ["xgw.service", "xgw-viewer.socket", "xgw-viewer@.service"])
  put(`usr/lib/systemd/system/${unit}`, readFileSync(join(root, "examples", unit)));
put("usr/lib/modules-load.d/xgw.conf", part("modules-load.conf"));
put("etc/xgw/xgw.yaml.example", readFileSync(join(root, "examples", "two-tenants.yaml")));
put("usr/share/doc/xgw/copyright", part("copyright"));
put("usr/share/doc/xgw/changelog.gz", compressed(readFileSync(join(root, "CHANGELOG.md"), "utf8")));
put(
  "usr/share/doc/xgw/changelog.Debian.gz",
  compressed(
    `xgw (${debVersion}) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- xgw <xgw@localhost>  ${date()}\n`,
  ),
);
for (const file of ["config.md", "daemon.md", "operate.md", "reasons.md", "xgw.schema.json", "xgw-tenants.schema.json"])
  put(`usr/share/doc/xgw/${file}`, readFileSync(join(root, "docs", file)));
put("usr/share/man/man8/xgw.8.gz", compressed(part("xgw.8").replaceAll("@VERSION@", version)));

const files = output("find", stage, "-type", "f", "-printf", "%P\\n").split("\n").sort();
const kilobytes = Number(output("du", "-sk", "--apparent-size", stage).split("\t")[0]);
const libraries = [atLeast("libc6"), "libelf1t64 | libelf1", atLeast("libgcc-s1"), atLeast("libstdc++6"), "zlib1g"];
const programs = ["nodejs (>= 20.19)", "nftables (>= 1.0.6)", "iproute2", "kmod"];
put(
  "DEBIAN/control",
  [
    "Package: xgw",
    `Version: ${debVersion}`,
    "Section: net",
    "Priority: optional",
    `Architecture: ${architecture}`,
    "Maintainer: xgw <xgw@localhost>",
    `Installed-Size: ${kilobytes}`,
    `Depends: ${[...libraries, ...programs, "init-system-helpers (>= 1.54)", "passwd"].join(", ")}`,
    "Recommends: systemd",
    "Suggests: bpftool, conntrack",
    "Description: eBPF/XDP gateway for tenants with overlapping addresses",
    " One box carries the public traffic of many tenants whose private addresses",
    " overlap. The kernel decides the first packets of a connection (VRF, GRE, NAT",
    " and policy in nftables), and XDP programs repeat the decision for the rest.",
    " .",
    " Needs Linux 6.12 or later.",
    "",
  ].join("\n"),
);
put(
  "DEBIAN/conffiles",
  `${files
    .filter((file) => file.startsWith("etc/"))
    .map((file) => `/${file}`)
    .join("\n")}\n`,
);
for (const script of ["postinst", "prerm", "postrm"]) put(`DEBIAN/${script}`, part(script), 0o755);
put(
  "DEBIAN/md5sums",
  `${files
    .filter((file) => !file.startsWith("etc/"))
    .map((file) => output("md5sum", join(stage, file)).slice(0, 32).concat("  ", file))
    .join("\n")}\n`,
);

execFileSync("chmod", ["-R", "u=rwX,go=rX", stage]);
chmodSync(main, 0o755);
const result = `dist/xgw_${version}_${architecture}.deb`;
execFileSync("dpkg-deb", ["--root-owner-group", "-Zxz", "--build", stage, join(root, result)], {
  stdio: ["ignore", "ignore", "inherit"],
});
rmSync(stage, { recursive: true });
console.log(result);

/** RFC 5322, as Debian's changelogs have it; of the source's last change, so that the same source makes the same package. */
function date() {
  const seconds = Number(process.env.SOURCE_DATE_EPOCH ?? output("git", "-C", root, "log", "-1", "--format=%ct"));
  return new Date(seconds * 1000).toUTCString().replace("GMT", "+0000");
}
