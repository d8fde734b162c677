// A thread that sleeps in epoll until a descriptor has data, and wakes JavaScript once for each time it was
// armed. What there is is then read on the JavaScript thread. The thread touches no V8 value.
#pragma once

#include "addon.h"

#include <thread>

namespace libbpf_ts
{

class Waiter
{
      public:
	Waiter() = default;
	~Waiter();
	Waiter(const Waiter &) = delete;
	Waiter &operator=(const Waiter &) = delete;

	/// Begins to wait for a descriptor, which must live longer than this. Returns 0 or -errno.
	int start(Napi::Env env, int fd, Napi::Function wake, const char *name);
	/// Asks for one wake-up as soon as there is data; keeps the event loop alive until then. Returns 0 or
	/// -errno.
	int arm(Napi::Env env);
	/// The event loop need not live for this any more.
	void rest(Napi::Env env);
	/// Ends the thread. Whoever owns the descriptor does this before closing it.
	void stop();

      private:
	static void onEnvironmentEnd(void *self);
	void wait();

	int control_ = -1;
	int epoll_ = -1;
	int fd_ = -1;
	std::thread thread_;
	Napi::ThreadSafeFunction wake_;
	Napi::Env env_ = nullptr;
};

/// Something that is read whenever its waiter wakes. Whoever derives from it stops the waiter before closing
/// what it waits for.
class Reader : public Closable
{
      public:
	Waiter waiter;
};

} // namespace libbpf_ts
