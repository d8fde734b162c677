// Test runs of programs.
#include "addon.h"

#include <bpf/bpf.h>

namespace libbpf_ts
{

namespace
{

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
	int rc = bpf_prog_test_run_opts(intArg(info, 0), &options);
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
