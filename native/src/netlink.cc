// A netlink dump: one request out, all of the answer back as bytes. Parsing is TypeScript's.
#include "addon.h"

#include <cstring>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace libbpf_ts
{

namespace
{

class Socket
{
      public:
	Socket() : fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE))
	{
	}
	~Socket()
	{
		if (fd >= 0)
			close(fd);
	}
	int fd;
};

int send(int fd, uint16_t type, const Bytes &body)
{
	std::vector<char> request(NLMSG_SPACE(body.size));
	auto *header = reinterpret_cast<nlmsghdr *>(request.data());
	header->nlmsg_len = static_cast<__u32>(NLMSG_LENGTH(body.size));
	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	header->nlmsg_seq = 1;
	if (body.size)
		memcpy(NLMSG_DATA(header), body.data, body.size);
	return ::send(fd, request.data(), request.size(), 0) < 0 ? -errno : 0;
}

/// Appends the messages of one datagram. Returns 1 when the dump is done, 0 when more comes, -errno on
/// failure.
int take(std::string &out, const char *data, ssize_t length)
{
	auto remaining = static_cast<unsigned int>(length);
	for (auto *header = reinterpret_cast<const nlmsghdr *>(data); NLMSG_OK(header, remaining);
	     header = NLMSG_NEXT(header, remaining)) {
		if (header->nlmsg_type == NLMSG_DONE)
			return 1;
		if (header->nlmsg_type == NLMSG_ERROR)
			return reinterpret_cast<const nlmsgerr *>(NLMSG_DATA(header))->error;
		out.append(reinterpret_cast<const char *>(header), NLMSG_ALIGN(header->nlmsg_len));
	}
	return 0;
}

/// netlinkDump(type, body) -> Buffer of whole messages, or -errno
Napi::Value dump(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	Socket nl;
	if (nl.fd < 0)
		return result(env, -errno);
	timeval patience = {5, 0};
	setsockopt(nl.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	int rc = send(nl.fd, static_cast<uint16_t>(u32Arg(info, 0)), bytesArg(info, 1));
	std::string out;
	std::vector<char> chunk(256 * 1024);
	while (rc == 0) {
		ssize_t length = recv(nl.fd, chunk.data(), chunk.size(), 0);
		if (length < 0 && errno == EINTR)
			continue;
		rc = length < 0 ? -errno : take(out, chunk.data(), length);
	}
	if (rc < 0)
		return result(env, rc);
	return Napi::Buffer<char>::Copy(env, out.data(), out.size());
}

} // namespace

void initNetlink(Napi::Env env, Napi::Object exports)
{
	method<dump>(env, exports, "netlinkDump");
}

} // namespace libbpf_ts
