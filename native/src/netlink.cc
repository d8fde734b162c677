// Netlink sockets: datagrams out and in, and the wait for one that nobody asked for. What is in them is
// TypeScript's.
#include "addon.h"
#include "waiter.h"

#include <linux/filter.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace libbpf_ts
{

namespace
{

/// So long the kernel may take for an answer, seconds.
const time_t patience = 30;

/// netlinkOpen(protocol, isStrict) -> fd or -errno
Napi::Value open(const Napi::CallbackInfo &info)
{
	int strict = info[1].As<Napi::Boolean>().Value();
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, intArg(info, 0));
	timeval timeout = {patience, 0};
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (fd >= 0 && strict && setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &strict, sizeof(strict))) {
		int error = errno;
		close(fd);
		return Napi::Number::New(info.Env(), -error);
	}
	return fdResult(info.Env(), fd);
}

/// What the kernel tells a socket that has joined multicast groups.
class Listener : public Reader
{
      public:
	~Listener() override
	{
		waiter.stop();
		if (fd_ >= 0)
			close(fd_);
	}

	/// Returns 0 or -errno.
	int start(Napi::Env env, int protocol, Napi::Array groups, int room, Bytes filter, Napi::Function wake)
	{
		fd_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
		if (fd_ < 0)
			return -errno;
		// What the kernel tells bears the port 0, and is not told to who has the same: one that is not
		// bound. Binding leaves all groups, so that it comes first.
		sockaddr_nl address = {};
		address.nl_family = AF_NETLINK;
		if (bind(fd_, reinterpret_cast<sockaddr *>(&address), sizeof(address)))
			return -errno;
		// More than the system's limit is for those with CAP_NET_ADMIN; for others, as much as they get.
		if (setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
			setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
		sock_fprog program = {static_cast<unsigned short>(filter.size / sizeof(sock_filter)),
				      reinterpret_cast<sock_filter *>(filter.data)};
		if (filter.size && setsockopt(fd_, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
			return -errno;
		for (uint32_t i = 0; i < groups.Length(); i++) {
			int group = groups.Get(i).As<Napi::Number>().Int32Value();
			if (setsockopt(fd_, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
				return -errno;
		}
		return waiter.start(env, fd_, wake, "libbpf-ts netlink");
	}

	int fd() const
	{
		return fd_;
	}

      private:
	int fd_ = -1;
};

Listener &listenerArg(const Napi::CallbackInfo &info)
{
	auto *listener = dynamic_cast<Listener *>(addonOf(info.Env()).find(u32Arg(info, 0)));
	if (!listener)
		throw Napi::Error::New(info.Env(), "not an open netlink listener");
	return *listener;
}

ssize_t receiveFrom(int fd, Bytes room)
{
	ssize_t length;
	do
		length = recv(fd, room.data, room.size, MSG_TRUNC);
	while (length < 0 && errno == EINTR);
	return length < 0 ? -errno : length;
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
	return result(info.Env(), receiveFrom(intArg(info, 0), bytesArg(info, 1)));
}

/// netlinkListen(protocol, groups, bytes of room, filter, wake) -> handle or -errno
Napi::Value listen(const Napi::CallbackInfo &info)
{
	auto listener = std::make_unique<Listener>();
	int rc = listener->start(info.Env(), intArg(info, 0), info[1].As<Napi::Array>(), intArg(info, 2),
				 bytesArg(info, 3), info[4].As<Napi::Function>());
	if (rc)
		return result(info.Env(), rc);
	return result(info.Env(), addonOf(info.Env()).keep(std::move(listener)));
}

/// netlinkHear(handle, room) -> as netlinkReceive; -EAGAIN when there is nothing
Napi::Value hear(const Napi::CallbackInfo &info)
{
	return result(info.Env(), receiveFrom(listenerArg(info).fd(), bytesArg(info, 1)));
}

} // namespace

void initNetlink(Napi::Env env, Napi::Object exports)
{
	method<open>(env, exports, "netlinkOpen");
	method<send>(env, exports, "netlinkSend");
	method<receive>(env, exports, "netlinkReceive");
	method<listen>(env, exports, "netlinkListen");
	method<hear>(env, exports, "netlinkHear");
}

} // namespace libbpf_ts
