// BTF: raw bytes of kernel BTF, loading, and printing as C. Parsing is TypeScript's.
#include "addon.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>

#include <cstdarg>
#include <cstdio>

namespace libbpf_ts
{

namespace
{

struct FreeBtf {
	void operator()(btf *b) const
	{
		btf__free(b);
	}
	void operator()(btf_dump *d) const
	{
		btf_dump__free(d);
	}
};

void append(void *context, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int length = vsnprintf(nullptr, 0, format, args);
	if (length > 0) {
		std::string text(static_cast<size_t>(length) + 1, '\0');
		vsnprintf(text.data(), text.size(), format, again);
		text.pop_back();
		*static_cast<std::string *>(context) += text;
	}
	va_end(again);
}

/// btfDump(raw, base or undefined, [ids] or undefined for all) -> C text, or -errno
Napi::Value dump(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	LogScope log(env);
	Bytes raw = bytesArg(info, 0), baseRaw = bytesArg(info, 1);
	std::unique_ptr<btf, FreeBtf> base, own;
	if (baseRaw.data) {
		base.reset(btf__new(baseRaw.data, static_cast<__u32>(baseRaw.size)));
		if (!base)
			return result(env, -errno);
	}
	own.reset(base ? btf__new_split(raw.data, static_cast<__u32>(raw.size), base.get())
		       : btf__new(raw.data, static_cast<__u32>(raw.size)));
	if (!own)
		return result(env, -errno);
	std::string text;
	std::unique_ptr<btf_dump, FreeBtf> dumper(btf_dump__new(own.get(), append, &text, nullptr));
	if (!dumper)
		return result(env, -errno);
	if (info[2].IsArray()) {
		Napi::Array ids = info[2].As<Napi::Array>();
		for (uint32_t i = 0; i < ids.Length(); i++) {
			int rc =
			    btf_dump__dump_type(dumper.get(), Napi::Value(ids[i]).As<Napi::Number>().Uint32Value());
			if (rc)
				return result(env, rc);
		}
	} else {
		__u32 first = base ? btf__type_cnt(base.get()) : 1;
		for (__u32 id = first; id < btf__type_cnt(own.get()); id++) {
			int rc = btf_dump__dump_type(dumper.get(), id);
			if (rc)
				return result(env, rc);
		}
	}
	return Napi::String::New(env, text);
}

/// btfLoad(raw) -> descriptor of the BTF in the kernel, or -errno
Napi::Value load(const Napi::CallbackInfo &info)
{
	LogScope log(info.Env());
	Bytes raw = bytesArg(info, 0);
	return fdResult(info.Env(), bpf_btf_load(raw.data, raw.size, nullptr));
}

} // namespace

void initBtf(Napi::Env env, Napi::Object exports)
{
	method<dump>(env, exports, "btfDump");
	method<load>(env, exports, "btfLoad");
}

} // namespace libbpf_ts
