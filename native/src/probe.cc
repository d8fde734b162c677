// What the running kernel can do, and the names libbpf has for it.
#include "addon.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

namespace libbpf_ts
{

namespace
{

Napi::Value mapType(const Napi::CallbackInfo &info)
{
	LogScope log(info.Env());
	return result(info.Env(), libbpf_probe_bpf_map_type(static_cast<enum bpf_map_type>(u32Arg(info, 0)), nullptr));
}

Napi::Value programType(const Napi::CallbackInfo &info)
{
	LogScope log(info.Env());
	return result(info.Env(),
		      libbpf_probe_bpf_prog_type(static_cast<enum bpf_prog_type>(u32Arg(info, 0)), nullptr));
}

/// programLoad(type, attachType, instructions, licence, BTF descriptor or -1) -> [descriptor or -errno,
/// verifier's log]: a bare program, for probes.
Napi::Value programLoad(const Napi::CallbackInfo &info)
{
	LogScope log(info.Env());
	std::vector<char> text(64 * 1024);
	LIBBPF_OPTS(bpf_prog_load_opts, options,
		    .expected_attach_type = static_cast<enum bpf_attach_type>(u32Arg(info, 1)));
	options.log_level = 1;
	options.log_buf = text.data();
	options.log_size = static_cast<__u32>(text.size());
	// An instruction with offset 1 means the second of these, as kfuncs of modules want it.
	int fds[2] = {0, intArg(info, 4)};
	if (fds[1] >= 0)
		options.fd_array = fds;
	Bytes code = bytesArg(info, 2);
	int fd = bpf_prog_load(static_cast<enum bpf_prog_type>(u32Arg(info, 0)), nullptr, strArg(info, 3).c_str(),
			       static_cast<const bpf_insn *>(code.data), code.size / sizeof(bpf_insn), &options);
	Napi::Array out = Napi::Array::New(info.Env(), 2);
	out.Set(0u, fdResult(info.Env(), fd));
	out.Set(1u, Napi::String::New(info.Env(), text.data()));
	return out;
}

Napi::Value nameOf(const Napi::CallbackInfo &info)
{
	std::string kind = strArg(info, 0);
	uint32_t value = u32Arg(info, 1);
	const char *name = kind == "map"    ? libbpf_bpf_map_type_str(static_cast<enum bpf_map_type>(value))
			   : kind == "prog" ? libbpf_bpf_prog_type_str(static_cast<enum bpf_prog_type>(value))
			   : kind == "link" ? libbpf_bpf_link_type_str(static_cast<enum bpf_link_type>(value))
					    : libbpf_bpf_attach_type_str(static_cast<enum bpf_attach_type>(value));
	return name ? Napi::String::New(info.Env(), name) : info.Env().Undefined();
}

} // namespace

void initProbe(Napi::Env env, Napi::Object exports)
{
	method<mapType>(env, exports, "probeMapType");
	method<programType>(env, exports, "probeProgramType");
	method<programLoad>(env, exports, "programLoad");
	method<nameOf>(env, exports, "typeName");
}

} // namespace libbpf_ts
