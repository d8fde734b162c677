// A ring buffer reader: waits for the map to have data, and reads the records straight from the shared memory.
#include "addon.h"
#include "waiter.h"

#include <bpf/libbpf.h>

namespace libbpf_ts
{

namespace
{

constexpr int kEnough = -ECANCELED;

class RingReader : public Reader
{
      public:
	~RingReader() override
	{
		waiter.stop();
		ring_buffer__free(ring_);
	}

	/// Returns 0 or -errno.
	int start(Napi::Env env, int mapFd, Napi::Function wake)
	{
		ring_ = ring_buffer__new(mapFd, onRecord, this, nullptr);
		if (!ring_)
			return -errno;
		env_ = env;
		return waiter.start(env, ring_buffer__epoll_fd(ring_), wake, "libbpf-ts ring buffer");
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
	static int onRecord(void *context, void *data, size_t size)
	{
		auto *self = static_cast<RingReader *>(context);
		Napi::Array &out = *self->out_;
		out.Set(out.Length(), Napi::Buffer<uint8_t>::Copy(self->env_, static_cast<uint8_t *>(data), size));
		return out.Length() >= self->limit_ ? kEnough : 0;
	}

	ring_buffer *ring_ = nullptr;
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

/// ringConsume(handle, limit) -> array of Buffers, or -errno
Napi::Value consume(const Napi::CallbackInfo &info)
{
	Napi::Array out = Napi::Array::New(info.Env());
	int rc = readerArg(info).consume(out, u32Arg(info, 1));
	if (rc)
		return result(info.Env(), rc);
	return out;
}

} // namespace

void initRingBuffer(Napi::Env env, Napi::Object exports)
{
	method<open>(env, exports, "ringOpen");
	method<consume>(env, exports, "ringConsume");
}

} // namespace libbpf_ts
