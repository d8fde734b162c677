// The module's entry, the per-environment table of what is open, and libbpf's log.
#include "addon.h"

#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstdio>
#include <mutex>

#include <unistd.h>

namespace libbpf_ts
{

namespace
{

// libbpf's print hook is one for the process; which environment listens is a matter of the calling thread.
thread_local Addon *listener = nullptr;

int collect(enum libbpf_print_level level, const char *format, va_list args)
{
	if (!listener || (level == LIBBPF_DEBUG && !listener->debugLog))
		return 0;
	va_list again;
	va_copy(again, args);
	int length = vsnprintf(nullptr, 0, format, args);
	if (length > 0) {
		std::string line(static_cast<size_t>(length) + 1, '\0');
		vsnprintf(line.data(), line.size(), format, again);
		line.pop_back();
		listener->log.emplace_back(static_cast<int>(level), std::move(line));
	}
	va_end(again);
	return 0;
}

Napi::Value takeLog(const Napi::CallbackInfo &info)
{
	Addon &addon = addonOf(info.Env());
	Napi::Array lines = Napi::Array::New(info.Env(), addon.log.size());
	uint32_t i = 0;
	for (const auto &[level, text] : addon.log) {
		Napi::Object line = Napi::Object::New(info.Env());
		line.Set("level", level);
		line.Set("text", text);
		lines.Set(i++, line);
	}
	addon.log.clear();
	return lines;
}

Napi::Value setDebugLog(const Napi::CallbackInfo &info)
{
	addonOf(info.Env()).debugLog = info[0].As<Napi::Boolean>().Value();
	return info.Env().Undefined();
}

Napi::Value closeFd(const Napi::CallbackInfo &info)
{
	return result(info.Env(), addonOf(info.Env()).closeFd(intArg(info, 0)));
}

} // namespace

Addon::~Addon()
{
	closables_.clear();
	for (int fd : fds_)
		close(fd);
}

int Addon::track(int fd)
{
	if (fd >= 0)
		fds_.insert(fd);
	return fd;
}

int Addon::closeFd(int fd)
{
	if (!fds_.erase(fd))
		return -EBADF;
	return close(fd) ? -errno : 0;
}

uint32_t Addon::keep(std::unique_ptr<Closable> closable)
{
	closables_.emplace(next_, std::move(closable));
	return next_++;
}

Closable *Addon::find(uint32_t handle)
{
	auto found = closables_.find(handle);
	return found == closables_.end() ? nullptr : found->second.get();
}

void Addon::drop(uint32_t handle)
{
	closables_.erase(handle);
}

LogScope::LogScope(Napi::Env env)
{
	listener = &addonOf(env);
}

LogScope::~LogScope()
{
	listener = nullptr;
}

static Napi::Object init(Napi::Env env, Napi::Object exports)
{
	static std::once_flag hooked;
	std::call_once(hooked, [] { libbpf_set_print(collect); });
	env.SetInstanceData(new Addon);
	method<takeLog>(env, exports, "takeLog");
	method<setDebugLog>(env, exports, "setDebugLog");
	method<closeFd>(env, exports, "closeFd");
	initMap(env, exports);
	initObject(env, exports);
	initProgram(env, exports);
	initLink(env, exports);
	initInfo(env, exports);
	initTc(env, exports);
	initNetlink(env, exports);
	initBtf(env, exports);
	initProbe(env, exports);
	initReader(env, exports);
	initRingBuffer(env, exports);
	initSystem(env, exports);
	return exports;
}

NODE_API_MODULE(libbpf_ts, init)

} // namespace libbpf_ts
