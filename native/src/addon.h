// What every file of the addon shares: the per-environment state and the way arguments come in and results go
// out.
//
// Conventions. A function returns a non-negative number or an object when it worked and -errno when not; it
// never throws for what the kernel or libbpf says. Buffers go in and out as they are; the TypeScript side has
// checked their sizes. File descriptors are plain numbers, owned by the environment's table until closed, so
// that a worker that ends leaks none.
#pragma once

#include <napi.h>

#include <cerrno>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

struct bpf_object;

namespace libbpf_ts
{

/// Something that the environment closes when it ends, if nobody has before.
class Closable
{
      public:
	virtual ~Closable() = default;
};

/// The state of one environment (the main thread or a worker). There is no other state in the addon but
/// libbpf's print hook.
class Addon
{
      public:
	~Addon();

	/// Takes charge of a descriptor; passes a negative errno through.
	int track(int fd);
	/// Closes a descriptor that track() was given. Returns 0 or -errno.
	int closeFd(int fd);

	uint32_t keep(std::unique_ptr<Closable> closable);
	Closable *find(uint32_t handle);
	void drop(uint32_t handle);

	std::vector<std::pair<int, std::string>> log;
	bool debugLog = false;

      private:
	std::set<int> fds_;
	std::map<uint32_t, std::unique_ptr<Closable>> closables_;
	uint32_t next_ = 1;
};

inline Addon &addonOf(Napi::Env env)
{
	return *env.GetInstanceData<Addon>();
}

/// While it lives, what libbpf prints on this thread is collected in the environment's log.
class LogScope
{
      public:
	explicit LogScope(Napi::Env env);
	~LogScope();
	LogScope(const LogScope &) = delete;
	LogScope &operator=(const LogScope &) = delete;
};

inline Napi::Value result(Napi::Env env, int64_t rc)
{
	return Napi::Number::New(env, static_cast<double>(rc));
}

/// A new descriptor, or the negative errno that came instead of it.
inline Napi::Value fdResult(Napi::Env env, int fd)
{
	return result(env, addonOf(env).track(fd < 0 ? (fd == -1 ? -errno : fd) : fd));
}

inline int intArg(const Napi::CallbackInfo &info, size_t i)
{
	return info[i].As<Napi::Number>().Int32Value();
}

inline uint32_t u32Arg(const Napi::CallbackInfo &info, size_t i)
{
	return info[i].As<Napi::Number>().Uint32Value();
}

inline uint64_t u64Arg(const Napi::CallbackInfo &info, size_t i)
{
	if (info[i].IsBigInt()) {
		bool lossless;
		return info[i].As<Napi::BigInt>().Uint64Value(&lossless);
	}
	return static_cast<uint64_t>(info[i].As<Napi::Number>().Int64Value());
}

inline std::string strArg(const Napi::CallbackInfo &info, size_t i)
{
	return info[i].As<Napi::String>().Utf8Value();
}

struct Bytes {
	void *data;
	size_t size;
};

/// The bytes of a Buffer or Uint8Array argument; null and 0 for undefined and null.
inline Bytes bytesOf(const Napi::Value &value)
{
	void *data = nullptr;
	size_t size = 0;
	if (!value.IsUndefined() && !value.IsNull() &&
	    napi_get_buffer_info(value.Env(), value, &data, &size) != napi_ok)
		throw Napi::TypeError::New(value.Env(), "expected a Buffer");
	return {size ? data : nullptr, size};
}

inline Bytes bytesArg(const Napi::CallbackInfo &info, size_t i)
{
	return bytesOf(info[i]);
}

/// Each file adds its functions to the exports.
void initMap(Napi::Env env, Napi::Object exports);
void initObject(Napi::Env env, Napi::Object exports);
void initProgram(Napi::Env env, Napi::Object exports);
void initLink(Napi::Env env, Napi::Object exports);
void initInfo(Napi::Env env, Napi::Object exports);
void initTc(Napi::Env env, Napi::Object exports);
void initNetlink(Napi::Env env, Napi::Object exports);
void initBtf(Napi::Env env, Napi::Object exports);
void initProbe(Napi::Env env, Napi::Object exports);
void initReader(Napi::Env env, Napi::Object exports);
void initRingBuffer(Napi::Env env, Napi::Object exports);
void initSystem(Napi::Env env, Napi::Object exports);

template <Napi::Value (*function)(const Napi::CallbackInfo &)>
void method(Napi::Env env, Napi::Object exports, const char *name)
{
	exports.Set(name, Napi::Function::New<function>(env, name));
}

} // namespace libbpf_ts
