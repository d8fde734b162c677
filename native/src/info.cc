// Pins, ids and bpf_*_info. The info structs cross as bytes: TypeScript decodes them, so that a kernel's
// newer fields need no new addon.
#include "addon.h"

#include <bpf/bpf.h>

#include <cstring>

#include <fcntl.h>

namespace libbpf_ts
{

namespace
{

Napi::Value pin(const Napi::CallbackInfo &info)
{
	return result(info.Env(), bpf_obj_pin(intArg(info, 0), strArg(info, 1).c_str()));
}

Napi::Value openPin(const Napi::CallbackInfo &info)
{
	LIBBPF_OPTS(bpf_obj_get_opts, options, .file_flags = u32Arg(info, 1));
	return fdResult(info.Env(), bpf_obj_get_opts(strArg(info, 0).c_str(), &options));
}

Napi::Value duplicate(const Napi::CallbackInfo &info)
{
	return fdResult(info.Env(), fcntl(intArg(info, 0), F_DUPFD_CLOEXEC, 3));
}

Napi::Value openById(const Napi::CallbackInfo &info)
{
	std::string kind = strArg(info, 0);
	uint32_t id = u32Arg(info, 1);
	int fd = kind == "map"	  ? bpf_map_get_fd_by_id(id)
		 : kind == "prog" ? bpf_prog_get_fd_by_id(id)
		 : kind == "link" ? bpf_link_get_fd_by_id(id)
				  : bpf_btf_get_fd_by_id(id);
	return fdResult(info.Env(), fd);
}

/// nextId(kind, id) -> the next id, 0 after the last, or -errno
Napi::Value nextId(const Napi::CallbackInfo &info)
{
	std::string kind = strArg(info, 0);
	uint32_t id = u32Arg(info, 1), next = 0;
	int rc = kind == "map"	  ? bpf_map_get_next_id(id, &next)
		 : kind == "prog" ? bpf_prog_get_next_id(id, &next)
		 : kind == "link" ? bpf_link_get_next_id(id, &next)
				  : bpf_btf_get_next_id(id, &next);
	if (rc == -ENOENT)
		return result(info.Env(), 0);
	return result(info.Env(), rc < 0 ? rc : static_cast<int64_t>(next));
}

/// objectInfo(fd, bytes, [[offset, Buffer], ...]) -> length or -errno. The address of each Buffer is put at
/// its offset for the time of the call, as the kernel wants it, and taken out again.
Napi::Value objectInfo(const Napi::CallbackInfo &info)
{
	Bytes bytes = bytesArg(info, 1);
	__u32 length = static_cast<__u32>(bytes.size);
	auto *raw = static_cast<uint8_t *>(bytes.data);
	std::vector<size_t> offsets;
	if (info[2].IsArray()) {
		Napi::Array pointers = info[2].As<Napi::Array>();
		for (uint32_t i = 0; i < pointers.Length(); i++) {
			Napi::Array pair = Napi::Value(pointers[i]).As<Napi::Array>();
			size_t offset = Napi::Value(pair[0u]).As<Napi::Number>().Uint32Value();
			uint64_t address = reinterpret_cast<uint64_t>(bytesOf(pair[1u]).data);
			if (offset + sizeof(address) > bytes.size)
				throw Napi::RangeError::New(info.Env(), "pointer outside of the info");
			memcpy(raw + offset, &address, sizeof(address));
			offsets.push_back(offset);
		}
	}
	int rc = bpf_obj_get_info_by_fd(intArg(info, 0), raw, &length);
	for (size_t offset : offsets)
		memset(raw + offset, 0, sizeof(uint64_t));
	return result(info.Env(), rc < 0 ? rc : static_cast<int64_t>(length));
}

} // namespace

void initInfo(Napi::Env env, Napi::Object exports)
{
	method<pin>(env, exports, "pin");
	method<openPin>(env, exports, "openPin");
	method<duplicate>(env, exports, "duplicate");
	method<openById>(env, exports, "openById");
	method<nextId>(env, exports, "nextId");
	method<objectInfo>(env, exports, "objectInfo");
}

} // namespace libbpf_ts
