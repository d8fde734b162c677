// Test runs of programs.
#include "addon.h"

#include <bpf/bpf.h>

#include <csignal>

namespace libbpf_ts
{

namespace
{

/// While it lives, no signal is for this thread: one that is pending ends a test run between two repetitions (EINTR),
/// with what it has done so far done. A signal to the process goes to another thread, or waits.
class SignalsWait
{
      public:
	SignalsWait()
	{
		sigset_t all;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before_);
	}
	~SignalsWait()
	{
		pthread_sigmask(SIG_SETMASK, &before_, nullptr);
	}
	SignalsWait(const SignalsWait &) = delete;
	SignalsWait &operator=(const SignalsWait &) = delete;

      private:
	sigset_t before_;
};

/// testRun(fd, data, dataOut, context, contextOut, repeat, flags, cpu, batchSize)
///   -> [rc, retval, durationNs, dataOutSize, contextOutSize]
Napi::Value testRun(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	LIBBPF_OPTS(bpf_test_run_opts, options);
	Bytes data = bytesArg(info, 1), dataOut = bytesArg(info, 2);
	Bytes context = bytesArg(info, 3), contextOut = bytesArg(info, 4);
	options.data_in = data.data;
	options.data_size_in = static_cast<__u32>(data.size);
	options.data_out = dataOut.data;
	options.data_size_out = static_cast<__u32>(dataOut.size);
	options.ctx_in = context.data;
	options.ctx_size_in = static_cast<__u32>(context.size);
	options.ctx_out = contextOut.data;
	options.ctx_size_out = static_cast<__u32>(contextOut.size);
	options.repeat = intArg(info, 5);
	options.flags = u32Arg(info, 6);
	options.cpu = u32Arg(info, 7);
	options.batch_size = u32Arg(info, 8);
	int rc;
	{
		SignalsWait waiting;
		rc = bpf_prog_test_run_opts(intArg(info, 0), &options);
	}
	Napi::Array out = Napi::Array::New(env, 5);
	out.Set(0u, rc);
	out.Set(1u, options.retval);
	out.Set(2u, options.duration);
	out.Set(3u, options.data_size_out);
	out.Set(4u, options.ctx_size_out);
	return out;
}

} // namespace

void initProgram(Napi::Env env, Napi::Object exports)
{
	method<testRun>(env, exports, "programTestRun");
}

} // namespace libbpf_ts
