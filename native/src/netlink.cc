// Netlink sockets: datagrams out and in. What is in them is TypeScript's.
#include "addon.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace libbpf_ts
{

namespace
{

/// So long the kernel may take for an answer, seconds.
const time_t patience = 30;

/// netlinkOpen(protocol) -> fd or -errno
Napi::Value open(const Napi::CallbackInfo &info)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, intArg(info, 0));
	timeval timeout = {patience, 0};
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	return fdResult(info.Env(), fd);
}

/// netlinkSend(fd, datagram) -> 0 or -errno
Napi::Value send(const Napi::CallbackInfo &info)
{
	Bytes datagram = bytesArg(info, 1);
	return result(info.Env(), ::send(intArg(info, 0), datagram.data, datagram.size, 0) < 0 ? -errno : 0);
}

/// netlinkReceive(fd, room) -> length of the datagram, of which as much as fits is in room; or -errno
Napi::Value receive(const Napi::CallbackInfo &info)
{
	Bytes room = bytesArg(info, 1);
	ssize_t length;
	do
		length = recv(intArg(info, 0), room.data, room.size, MSG_TRUNC);
	while (length < 0 && errno == EINTR);
	return result(info.Env(), length < 0 ? -errno : length);
}

} // namespace

void initNetlink(Napi::Env env, Napi::Object exports)
{
	method<open>(env, exports, "netlinkOpen");
	method<send>(env, exports, "netlinkSend");
	method<receive>(env, exports, "netlinkReceive");
}

} // namespace libbpf_ts
