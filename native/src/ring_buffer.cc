// A ring buffer reader: a thread that sleeps in epoll until the map has data, and wakes JavaScript once for
// each time it was armed. The records are then read on the JavaScript thread, straight from the shared
// memory. The thread touches no V8 value.
#include "addon.h"

#include <bpf/libbpf.h>

#include <atomic>
#include <thread>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace libbpf_ts
{

namespace
{

constexpr int kEnough = -ECANCELED;

class RingReader : public Closable
{
      public:
	~RingReader() override
	{
		stop();
		ring_buffer__free(ring_);
		for (int fd : {control_, epoll_})
			if (fd >= 0)
				close(fd);
	}

	/// Returns 0 or -errno.
	int start(Napi::Env env, int mapFd, Napi::Function wake)
	{
		ring_ = ring_buffer__new(mapFd, onRecord, this, nullptr);
		if (!ring_)
			return -errno;
		control_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		epoll_ = epoll_create1(EPOLL_CLOEXEC);
		if (control_ < 0 || epoll_ < 0)
			return -errno;
		epoll_event event = {};
		event.events = EPOLLIN;
		event.data.fd = control_;
		if (epoll_ctl(epoll_, EPOLL_CTL_ADD, control_, &event))
			return -errno;
		// The ring takes part only while armed (one shot), so that a reader that is behind costs
		// nothing.
		data_ = ring_buffer__epoll_fd(ring_);
		event.events = EPOLLONESHOT;
		event.data.fd = data_;
		if (epoll_ctl(epoll_, EPOLL_CTL_ADD, data_, &event))
			return -errno;
		wake_ = Napi::ThreadSafeFunction::New(env, wake, "libbpf-ts ring buffer", 0, 1);
		wake_.Unref(env);
		// Hooks run last in, first out: the thread stops while the function that it calls still
		// exists.
		env_ = env;
		napi_add_env_cleanup_hook(env, onEnvironmentEnd, this);
		thread_ = std::thread([this] { wait(); });
		return 0;
	}

	/// Asks for one wake-up as soon as there is data; keeps the event loop alive until then.
	int arm(Napi::Env env)
	{
		wake_.Ref(env);
		epoll_event event = {};
		event.events = EPOLLIN | EPOLLONESHOT;
		event.data.fd = data_;
		return epoll_ctl(epoll_, EPOLL_CTL_MOD, data_, &event) ? -errno : 0;
	}

	void rest(Napi::Env env)
	{
		wake_.Unref(env);
	}

	/// Reads up to limit records. Returns 0 or -errno.
	int consume(Napi::Array out, uint32_t limit)
	{
		out_ = &out;
		limit_ = limit;
		int rc = ring_buffer__consume(ring_);
		out_ = nullptr;
		return rc < 0 && rc != kEnough ? rc : 0;
	}

      private:
	static void onEnvironmentEnd(void *self)
	{
		static_cast<RingReader *>(self)->stop();
	}

	static int onRecord(void *context, void *data, size_t size)
	{
		auto *self = static_cast<RingReader *>(context);
		Napi::Array &out = *self->out_;
		out.Set(out.Length(), Napi::Buffer<uint8_t>::Copy(self->env_, static_cast<uint8_t *>(data), size));
		return out.Length() >= self->limit_ ? kEnough : 0;
	}

	void wait()
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

	void stop()
	{
		if (!thread_.joinable())
			return;
		napi_remove_env_cleanup_hook(env_, onEnvironmentEnd, this);
		uint64_t one = 1;
		if (write(control_, &one, sizeof(one)) == sizeof(one))
			thread_.join();
		wake_.Release();
	}

	ring_buffer *ring_ = nullptr;
	int control_ = -1;
	int epoll_ = -1;
	int data_ = -1;
	std::thread thread_;
	Napi::ThreadSafeFunction wake_;
	Napi::Env env_ = nullptr;
	Napi::Array *out_ = nullptr;
	uint32_t limit_ = 0;
};

RingReader &readerArg(const Napi::CallbackInfo &info)
{
	auto *reader = dynamic_cast<RingReader *>(addonOf(info.Env()).find(u32Arg(info, 0)));
	if (!reader)
		throw Napi::Error::New(info.Env(), "not an open ring buffer");
	return *reader;
}

Napi::Value open(const Napi::CallbackInfo &info)
{
	LogScope log(info.Env());
	auto reader = std::make_unique<RingReader>();
	int rc = reader->start(info.Env(), intArg(info, 0), info[1].As<Napi::Function>());
	if (rc)
		return result(info.Env(), rc);
	return result(info.Env(), addonOf(info.Env()).keep(std::move(reader)));
}

Napi::Value arm(const Napi::CallbackInfo &info)
{
	return result(info.Env(), readerArg(info).arm(info.Env()));
}

Napi::Value rest(const Napi::CallbackInfo &info)
{
	readerArg(info).rest(info.Env());
	return info.Env().Undefined();
}

/// ringConsume(handle, limit) -> array of Buffers, or -errno
Napi::Value consume(const Napi::CallbackInfo &info)
{
	Napi::Array out = Napi::Array::New(info.Env());
	int rc = readerArg(info).consume(out, u32Arg(info, 1));
	if (rc)
		return result(info.Env(), rc);
	return out;
}

Napi::Value close(const Napi::CallbackInfo &info)
{
	addonOf(info.Env()).drop(u32Arg(info, 0));
	return result(info.Env(), 0);
}

} // namespace

void initRingBuffer(Napi::Env env, Napi::Object exports)
{
	method<open>(env, exports, "ringOpen");
	method<arm>(env, exports, "ringArm");
	method<rest>(env, exports, "ringRest");
	method<consume>(env, exports, "ringConsume");
	method<close>(env, exports, "ringClose");
}

} // namespace libbpf_ts
