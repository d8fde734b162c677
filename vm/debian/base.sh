#!/bin/sh
# base.sh RELEASE FOLDER MIRROR: a bare Debian of this release, with git, Node.js and npm, unless it is there already.
set -eu
release=$1 base=$2 mirror=$3
[ -e "$base.ready" ] && exit 0

# Of two runs at once the second one waits.
exec 9>"$base.lock"
flock 9
[ -e "$base.ready" ] && exit 0

export DEBIAN_FRONTEND=noninteractive LC_ALL=C
command -v debootstrap >/dev/null || apt-get -q install --yes --no-install-recommends debootstrap
rm -rf "$base"
debootstrap --variant=minbase --include=ca-certificates "$release" "$base" "$mirror"
chroot "$base" apt-get -q update
# Without waiting for the disk after each file: half a system is never used.
chroot "$base" apt-get -q -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-unsafe-io \
	install --yes --no-install-recommends git nodejs npm
# Debian 12's Node.js is too old, and NodeSource is not Debian: the same program lies in the npm registry.
if ! chroot "$base" node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)'; then
	npm install --silent --prefix "$base/opt/node" "node-linux-$(node -p process.arch)@^20.19"
	ln -s "/opt/node/node_modules/node-linux-$(node -p process.arch)/bin/node" "$base/usr/local/bin/node"
fi
touch "$base.ready"
