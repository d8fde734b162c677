// Small facts and moves outside of bpf(2): CPUs, error texts, interface names, network namespaces, file locks, peers.
#include "addon.h"

#include <bpf/libbpf.h>

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

namespace libbpf_ts
{

namespace
{

Napi::Value possibleCpus(const Napi::CallbackInfo &info)
{
	return result(info.Env(), libbpf_num_possible_cpus());
}

Napi::Value errorText(const Napi::CallbackInfo &info)
{
	char text[128] = "";
	libbpf_strerror(intArg(info, 0), text, sizeof(text));
	return Napi::String::New(info.Env(), text);
}

Napi::Value libbpfVersion(const Napi::CallbackInfo &info)
{
	return Napi::String::New(info.Env(), libbpf_version_string());
}

Napi::Value interfaceName(const Napi::CallbackInfo &info)
{
	char name[IF_NAMESIZE] = "";
	if (!if_indextoname(u32Arg(info, 0), name))
		return info.Env().Undefined();
	return Napi::String::New(info.Env(), name);
}

Napi::Value interfaceIndex(const Napi::CallbackInfo &info)
{
	unsigned int index = if_nametoindex(strArg(info, 0).c_str());
	return result(info.Env(), index ? static_cast<int64_t>(index) : -errno);
}

/// tickNanoseconds() -> nanoseconds of one tick of the kernel's clock, which the coarse clocks stand still for
Napi::Value tickNanoseconds(const Napi::CallbackInfo &info)
{
	timespec tick = {};
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick))
		return result(info.Env(), -errno);
	return result(info.Env(), tick.tv_sec * 1000000000LL + tick.tv_nsec);
}

/// clocks() -> [CLOCK_REALTIME, CLOCK_BOOTTIME] in nanoseconds (bigint)
Napi::Value clocks(const Napi::CallbackInfo &info)
{
	Napi::Array out = Napi::Array::New(info.Env(), 2);
	uint32_t i = 0;
	for (clockid_t clock : {CLOCK_REALTIME, CLOCK_BOOTTIME}) {
		timespec now = {};
		clock_gettime(clock, &now);
		out.Set(i++,
			Napi::BigInt::New(info.Env(), static_cast<int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec));
	}
	return out;
}

/// enterNetNamespace(path) -> descriptor of the namespace that this thread was in, or -errno
Napi::Value enterNetNamespace(const Napi::CallbackInfo &info)
{
	int before = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (before < 0)
		return result(info.Env(), -errno);
	int target = open(strArg(info, 0).c_str(), O_RDONLY | O_CLOEXEC);
	int rc = target < 0 || setns(target, CLONE_NEWNET) ? -errno : 0;
	if (target >= 0)
		close(target);
	if (rc == 0)
		return fdResult(info.Env(), before);
	close(before);
	return result(info.Env(), rc);
}

/// leaveNetNamespace(descriptor): back to where enterNetNamespace() came from; closes the descriptor.
Napi::Value leaveNetNamespace(const Napi::CallbackInfo &info)
{
	int fd = intArg(info, 0);
	int rc = setns(fd, CLONE_NEWNET) ? -errno : 0;
	addonOf(info.Env()).closeFd(fd);
	return result(info.Env(), rc);
}

/// Whether a path still leads to the file of a descriptor: whoever released the lock before may have removed it.
bool isFileAt(int fd, const char *path)
{
	struct stat mine = {}, there = {};
	return fstat(fd, &mine) == 0 && lstat(path, &there) == 0 && mine.st_dev == there.st_dev &&
	       mine.st_ino == there.st_ino;
}

/// lockFile(path, text) -> descriptor of the file, which is locked and holds the text, or -errno: -EAGAIN when another
/// has it, -ELOOP when the path is a symbolic link
Napi::Value lockFile(const Napi::CallbackInfo &info)
{
	std::string path = strArg(info, 0), text = strArg(info, 1);
	for (;;) {
		int fd = open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0)
			return result(info.Env(), -errno);
		int rc = flock(fd, LOCK_EX | LOCK_NB) ? -errno : 0;
		if (rc == 0 && !isFileAt(fd, path.c_str())) {
			close(fd);
			continue;
		}
		if (rc == 0 && (ftruncate(fd, 0) || pwrite(fd, text.data(), text.size(), 0) < 0))
			rc = -errno;
		if (rc == 0)
			return fdResult(info.Env(), fd);
		close(fd);
		return result(info.Env(), rc);
	}
}

/// peerCredentials(descriptor of a connected Unix socket) -> [process id, user id, group id], or -errno
Napi::Value peerCredentials(const Napi::CallbackInfo &info)
{
	ucred peer = {};
	socklen_t size = sizeof(peer);
	if (getsockopt(intArg(info, 0), SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return result(info.Env(), -errno);
	Napi::Array out = Napi::Array::New(info.Env(), 3);
	out.Set(0u, peer.pid);
	out.Set(1u, peer.uid);
	out.Set(2u, peer.gid);
	return out;
}

} // namespace

void initSystem(Napi::Env env, Napi::Object exports)
{
	method<possibleCpus>(env, exports, "possibleCpus");
	method<errorText>(env, exports, "errorText");
	method<libbpfVersion>(env, exports, "libbpfVersion");
	method<interfaceName>(env, exports, "interfaceName");
	method<interfaceIndex>(env, exports, "interfaceIndex");
	method<tickNanoseconds>(env, exports, "tickNanoseconds");
	method<clocks>(env, exports, "clocks");
	method<enterNetNamespace>(env, exports, "enterNetNamespace");
	method<leaveNetNamespace>(env, exports, "leaveNetNamespace");
	method<lockFile>(env, exports, "lockFile");
	method<peerCredentials>(env, exports, "peerCredentials");
}

} // namespace libbpf_ts
