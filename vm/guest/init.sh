#!/bin/busybox sh
# First process of the guest. Makes a root file system of the host's (read-only, over 9p) and a
# scratch layer in memory, and hands over to run.sh in it.
B=/bin/busybox
fail() { echo "xgw-vm: $*"; $B poweroff -f; }

$B mount -t devtmpfs dev /dev
while read -r module; do
	$B insmod "/modules/$module" || fail "cannot insert $module"
done </modules/order

options=trans=virtio,version=9p2000.L,msize=512000
$B mount -t 9p -o "ro,cache=loose,$options" host /host || fail "cannot mount the host's files"
$B mount -t tmpfs -o size=80%,nr_inodes=1m scratch /scratch
$B mkdir /scratch/upper /scratch/work
$B mount -t overlay -o lowerdir=/host,upperdir=/scratch/upper,workdir=/scratch/work overlay /root ||
	fail "cannot lay a scratch layer over the host's files"

for dir in proc sys dev run; do
	[ -d /root/$dir ] || $B mkdir -p /root/$dir
done
$B mount -t proc proc /root/proc
$B mount -t sysfs sys /root/sys
$B mount --move /dev /root/dev
$B mount -t tmpfs -o mode=755 run /root/run
$B mkdir /root/run/xgw-vm
$B cp /bin/busybox /run.sh /root/run/xgw-vm/
$B mkdir /root/run/xgw-vm/host
$B mount --move /host /root/run/xgw-vm/host
exec $B switch_root /root /run/xgw-vm/busybox sh /run/xgw-vm/run.sh
