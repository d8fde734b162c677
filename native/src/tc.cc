// Classic tc: the clsact qdisc and direct-action bpf filters on it.
#include "addon.h"

#include <bpf/libbpf.h>

namespace libbpf_ts
{

namespace
{

bpf_tc_hook hookArg(const Napi::CallbackInfo &info)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = intArg(info, 0),
		    .attach_point = static_cast<enum bpf_tc_attach_point>(u32Arg(info, 1)));
	return hook;
}

Napi::Value hookCreate(const Napi::CallbackInfo &info)
{
	LogScope log(info.Env());
	bpf_tc_hook hook = hookArg(info);
	return result(info.Env(), bpf_tc_hook_create(&hook));
}

Napi::Value hookDestroy(const Napi::CallbackInfo &info)
{
	LogScope log(info.Env());
	bpf_tc_hook hook = hookArg(info);
	return result(info.Env(), bpf_tc_hook_destroy(&hook));
}

/// tcAttach(ifindex, point, programFd, flags, handle, priority) -> [rc, progId, handle, priority]
Napi::Value attach(const Napi::CallbackInfo &info)
{
	LogScope log(info.Env());
	bpf_tc_hook hook = hookArg(info);
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = intArg(info, 2), .flags = u32Arg(info, 3),
		    .handle = u32Arg(info, 4), .priority = u32Arg(info, 5));
	int rc = bpf_tc_attach(&hook, &options);
	Napi::Array out = Napi::Array::New(info.Env(), 4);
	out.Set(0u, rc);
	out.Set(1u, options.prog_id);
	out.Set(2u, options.handle);
	out.Set(3u, options.priority);
	return out;
}

/// tcDetach(ifindex, point, handle, priority)
Napi::Value detach(const Napi::CallbackInfo &info)
{
	LogScope log(info.Env());
	bpf_tc_hook hook = hookArg(info);
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = u32Arg(info, 2), .priority = u32Arg(info, 3));
	return result(info.Env(), bpf_tc_detach(&hook, &options));
}

} // namespace

void initTc(Napi::Env env, Napi::Object exports)
{
	method<hookCreate>(env, exports, "tcHookCreate");
	method<hookDestroy>(env, exports, "tcHookDestroy");
	method<attach>(env, exports, "tcAttach");
	method<detach>(env, exports, "tcDetach");
}

} // namespace libbpf_ts
