#include "waiter.h"

#include <cerrno>
#include <cstdint>
#include <system_error>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace libbpf_ts
{

Waiter::~Waiter()
{
	stop();
	for (int fd : {control_, epoll_})
		if (fd >= 0)
			close(fd);
}

int Waiter::start(Napi::Env env, int fd, Napi::Function wake, const char *name)
{
	control_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	epoll_ = epoll_create1(EPOLL_CLOEXEC);
	if (control_ < 0 || epoll_ < 0)
		return -errno;
	epoll_event event = {};
	event.events = EPOLLIN;
	event.data.fd = control_;
	if (epoll_ctl(epoll_, EPOLL_CTL_ADD, control_, &event))
		return -errno;
	// It takes part only while armed (one shot), so that a reader that is behind costs nothing.
	fd_ = fd;
	event.events = EPOLLONESHOT;
	event.data.fd = fd_;
	if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_, &event))
		return -errno;
	wake_ = Napi::ThreadSafeFunction::New(env, wake, name, 0, 1);
	wake_.Unref(env);
	try {
		thread_ = std::thread([this] { wait(); });
	} catch (const std::system_error &error) {
		wake_.Release();
		return -error.code().value();
	}
	// Hooks run last in, first out: the thread stops while the function that it calls still exists.
	env_ = env;
	napi_add_env_cleanup_hook(env, onEnvironmentEnd, this);
	return 0;
}

int Waiter::arm(Napi::Env env)
{
	wake_.Ref(env);
	epoll_event event = {};
	event.events = EPOLLIN | EPOLLONESHOT;
	event.data.fd = fd_;
	return epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_, &event) ? -errno : 0;
}

void Waiter::rest(Napi::Env env)
{
	wake_.Unref(env);
}

void Waiter::stop()
{
	if (!thread_.joinable())
		return;
	napi_remove_env_cleanup_hook(env_, onEnvironmentEnd, this);
	uint64_t one = 1;
	if (write(control_, &one, sizeof(one)) == sizeof(one))
		thread_.join();
	wake_.Release();
}

void Waiter::onEnvironmentEnd(void *self)
{
	static_cast<Waiter *>(self)->stop();
}

void Waiter::wait()
{
	for (;;) {
		epoll_event event;
		int n = epoll_wait(epoll_, &event, 1, -1);
		if (n < 0 && errno != EINTR)
			return;
		if (n <= 0)
			continue;
		if (event.data.fd == control_)
			return;
		wake_.NonBlockingCall();
	}
}

namespace
{

Reader &readerArg(const Napi::CallbackInfo &info)
{
	auto *reader = dynamic_cast<Reader *>(addonOf(info.Env()).find(u32Arg(info, 0)));
	if (!reader)
		throw Napi::Error::New(info.Env(), "not an open reader");
	return *reader;
}

Napi::Value arm(const Napi::CallbackInfo &info)
{
	return result(info.Env(), readerArg(info).waiter.arm(info.Env()));
}

Napi::Value rest(const Napi::CallbackInfo &info)
{
	readerArg(info).waiter.rest(info.Env());
	return info.Env().Undefined();
}

Napi::Value closeReader(const Napi::CallbackInfo &info)
{
	addonOf(info.Env()).drop(u32Arg(info, 0));
	return info.Env().Undefined();
}

} // namespace

void initReader(Napi::Env env, Napi::Object exports)
{
	method<arm>(env, exports, "readerArm");
	method<rest>(env, exports, "readerRest");
	method<closeReader>(env, exports, "readerClose");
}

} // namespace libbpf_ts
