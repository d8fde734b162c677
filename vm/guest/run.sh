# First process of the guest once its root is in place. Reads one line from the control port (a shell
# script, base64), runs it with its output on the other two ports, and answers with its status.
B=/run/xgw-vm/busybox
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

mkdir() { $B mkdir -p "$@"; }
mount() { $B mount "$@"; }

port() { echo /dev/vport*p"$1"; }
control=$(port 3)
exec 3<>"$control"
mkdir /run/xgw-vm/job
$B head -n 1 <&3 | $B base64 -d >/run/xgw-vm/job/setup
# Sets: modules, share, interactive. Writes: job/command, a script.
. /run/xgw-vm/job/setup

mkdir /dev/pts /dev/shm
mount -t devpts -o mode=620,gid=5,ptmxmode=666 devpts /dev/pts
mount -t tmpfs shm /dev/shm
$B ln -sf /proc/self/fd /dev/fd
$B ln -sf /proc/self/fd/0 /dev/stdin
$B ln -sf /proc/self/fd/1 /dev/stdout
$B ln -sf /proc/self/fd/2 /dev/stderr
mount -t bpf -o mode=700 bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir /usr/lib/modules
mount -o bind "/run/xgw-vm/host$modules" /usr/lib/modules
mkdir /run/lock /run/netns /run/user
if [ -n "$share" ]; then
	mkdir "$share"
	mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none,posixacl share "$share" ||
		mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none share "$share"
fi
$B hostname xgw-vm
$B ifconfig lo up 127.0.0.1
echo 1 >/proc/sys/net/core/bpf_jit_enable
ulimit -Hn 524288

# An empty hook at every place, for good. The kernel patches its own code when a place gets its first hook or loses its
# last, and an emulated CPU can run into the half-patched instruction (an oops in ip_local_deliver, seen under TCG).
nft -f - <<-HOOKS 2>/dev/null
	table inet xgw_vm {
		chain prerouting { type filter hook prerouting priority 0; }
		chain input { type filter hook input priority 0; }
		chain forward { type filter hook forward priority 0; }
		chain output { type filter hook output priority 0; }
		chain postrouting { type filter hook postrouting priority 0; }
	}
	table netdev xgw_vm {
		chain ingress { type filter hook ingress device lo priority 0; }
		chain egress { type filter hook egress device lo priority 0; }
	}
HOOKS
echo ready >&3

if [ "$interactive" = 1 ]; then
	$B setsid $B cttyhack /bin/sh /run/xgw-vm/job/command </dev/console >/dev/console 2>&1 3>&-
	echo "exit $?" >&3
	$B poweroff -f
fi

$B mkfifo /run/xgw-vm/job/out /run/xgw-vm/job/err
$B cat /run/xgw-vm/job/out >"$(port 1)" 3>&- &
out=$!
$B cat /run/xgw-vm/job/err >"$(port 2)" 3>&- &
err=$!
$B setsid /bin/sh /run/xgw-vm/job/command </dev/null >/run/xgw-vm/job/out 2>/run/xgw-vm/job/err 3>&- &
wait $!
status=$?

# Whatever the command left running would hold its output open.
for pid in /proc/[0-9]*; do
	pid=${pid#/proc/}
	case $pid in 1 | $out | $err) ;; *) kill -9 "$pid" 2>/dev/null ;; esac
done
wait $out $err
[ -n "$share" ] && $B umount "$share"
echo "exit $status" >&3
$B sleep 60
$B poweroff -f
