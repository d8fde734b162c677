#!/bin/sh
# test.sh BASE FOLDER CHECKOUT CACHE [ARG…]: `npm test -- ARG…` in a clone of what is committed, as root by a plain `su` has it, in
# a system over BASE of which nothing is left. In a mount namespace of its own.
set -eu
base=$1 folder=$2 checkout=$3 cache=$4
shift 4

mkdir "$folder/upper" "$folder/work" "$folder/root"
root=$folder/root
mount -t overlay -o "lowerdir=$base,upperdir=$folder/upper,workdir=$folder/work" overlay "$root"
mount --bind /proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
mkdir -p "$root/root/.cache/xgw"
mount --bind "$cache" "$root/root/.cache/xgw"
chmod 0700 "$root/root"
# Whom this machine trusts besides, for a registry behind a proxy.
authorities=
if [ -r "${NODE_EXTRA_CA_CERTS:-}" ]; then
	authorities=/etc/ssl/certs/of-the-machine.pem
	cp "$NODE_EXTRA_CA_CERTS" "$root$authorities"
fi
echo "debian: node is $(chroot "$root" sh -c 'PATH=/usr/local/bin:/usr/bin:/bin; command -v node; node --version' | tr '\n' ' ')"
git clone --quiet "$checkout" "$root/root/xgw"

exec chroot "$root" env -i HOME=/root TERM="${TERM:-dumb}" PATH=/usr/local/bin:/usr/bin:/bin:/usr/games \
	NODE_EXTRA_CA_CERTS="$authorities" \
	sh -c 'cd /root/xgw && exec npm test -- "$@"' sh "$@"
