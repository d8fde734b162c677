// Links: made by program, target and attach type; updated; detached. And the queries of what hangs on a hook.
#include "addon.h"
#include "uapi.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

namespace libbpf_ts
{

namespace
{

/// linkCreate(programFd, target, attachType, flags, relativeFd, relativeId, expectedRevision, [family, hook, priority,
/// flags] of netfilter)
Napi::Value create(const Napi::CallbackInfo &info)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = u32Arg(info, 3));
	int type = intArg(info, 2);
	if (type == kTcxIngress || type == kTcxEgress || type == kNetkitPrimary || type == kNetkitPeer) {
		// tcx and netkit have the same shape.
		options.tcx.relative_fd = u32Arg(info, 4);
		options.tcx.relative_id = u32Arg(info, 5);
		options.tcx.expected_revision = u64Arg(info, 6);
	}
	if (type == kNetfilter) {
		Napi::Array hook = info[7].As<Napi::Array>();
		auto word = [&](uint32_t at) { return Napi::Value(hook[at]).As<Napi::Number>(); };
		options.netfilter.pf = word(0).Uint32Value();
		options.netfilter.hooknum = word(1).Uint32Value();
		options.netfilter.priority = word(2).Int32Value();
		options.netfilter.flags = word(3).Uint32Value();
	}
	int fd = bpf_link_create(intArg(info, 0), intArg(info, 1), static_cast<enum bpf_attach_type>(type), &options);
	return fdResult(info.Env(), fd);
}

/// rawTracepointOpen(programFd, name)
Napi::Value openRawTracepoint(const Napi::CallbackInfo &info)
{
	return fdResult(info.Env(), bpf_raw_tracepoint_open(strArg(info, 1).c_str(), intArg(info, 0)));
}

/// linkUpdate(linkFd, newProgramFd, flags, oldProgramFd)
Napi::Value update(const Napi::CallbackInfo &info)
{
	LIBBPF_OPTS(bpf_link_update_opts, options, .flags = u32Arg(info, 2), .old_prog_fd = u32Arg(info, 3));
	return result(info.Env(), bpf_link_update(intArg(info, 0), intArg(info, 1), &options));
}

Napi::Value detach(const Napi::CallbackInfo &info)
{
	return result(info.Env(), bpf_link_detach(intArg(info, 0)));
}

/// xdpQuery(ifindex) -> [rc, attachMode, progId, drvProgId, hwProgId, skbProgId, featureFlags (bigint),
/// zcMaxSegs]
Napi::Value xdpQuery(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	LIBBPF_OPTS(bpf_xdp_query_opts, options);
	int rc = bpf_xdp_query(intArg(info, 0), 0, &options);
	Napi::Array out = Napi::Array::New(env, 8);
	out.Set(0u, rc);
	out.Set(1u, static_cast<uint32_t>(options.attach_mode));
	out.Set(2u, options.prog_id);
	out.Set(3u, options.drv_prog_id);
	out.Set(4u, options.hw_prog_id);
	out.Set(5u, options.skb_prog_id);
	out.Set(6u, Napi::BigInt::New(env, static_cast<uint64_t>(options.feature_flags)));
	out.Set(7u, options.xdp_zc_max_segs);
	return out;
}

/// xdpSet(ifindex, programFd or -1, flags, expectedProgramFd or -1): the netlink way, without a link.
Napi::Value xdpSet(const Napi::CallbackInfo &info)
{
	LogScope log(info.Env());
	LIBBPF_OPTS(bpf_xdp_attach_opts, options);
	int expected = intArg(info, 3);
	if (expected >= 0)
		options.old_prog_fd = expected;
	return result(info.Env(), bpf_xdp_attach(intArg(info, 0), intArg(info, 1), u32Arg(info, 2),
						 expected >= 0 ? &options : nullptr));
}

/// programQuery(target, attachType, queryFlags, room) -> [rc, count, attachFlags, revision, [{progId, linkId,
/// ...}]]
Napi::Value programQuery(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	size_t room = u32Arg(info, 3);
	bool multi = info[4].As<Napi::Boolean>().Value();
	std::vector<__u32> programs(room), programFlags(room), links(room), linkFlags(room);
	LIBBPF_OPTS(bpf_prog_query_opts, options);
	options.query_flags = u32Arg(info, 2);
	options.prog_ids = programs.data();
	options.count = static_cast<__u32>(room);
	if (multi) {
		options.prog_attach_flags = programFlags.data();
		options.link_ids = links.data();
		options.link_attach_flags = linkFlags.data();
	}
	int rc = bpf_prog_query_opts(intArg(info, 0), static_cast<enum bpf_attach_type>(u32Arg(info, 1)), &options);
	Napi::Array out = Napi::Array::New(env, 5);
	out.Set(0u, rc);
	out.Set(1u, options.count);
	out.Set(2u, options.attach_flags);
	out.Set(3u, Napi::BigInt::New(env, static_cast<uint64_t>(options.revision)));
	Napi::Array entries = Napi::Array::New(env);
	for (uint32_t i = 0; rc == 0 && i < options.count && i < room; i++) {
		Napi::Object entry = Napi::Object::New(env);
		entry.Set("progId", programs[i]);
		entry.Set("progAttachFlags", programFlags[i]);
		entry.Set("linkId", links[i]);
		entry.Set("linkAttachFlags", linkFlags[i]);
		entries.Set(i, entry);
	}
	out.Set(4u, entries);
	return out;
}

} // namespace

void initLink(Napi::Env env, Napi::Object exports)
{
	method<create>(env, exports, "linkCreate");
	method<openRawTracepoint>(env, exports, "rawTracepointOpen");
	method<update>(env, exports, "linkUpdate");
	method<detach>(env, exports, "linkDetach");
	method<xdpQuery>(env, exports, "xdpQuery");
	method<xdpSet>(env, exports, "xdpSet");
	method<programQuery>(env, exports, "programQuery");
}

} // namespace libbpf_ts
