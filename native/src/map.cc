// Map elements, one and many. The single-element calls use the plain C interface: they are the ones that are
// counted by the million.
#include "addon.h"

#include <bpf/bpf.h>

#include <sys/mman.h>

namespace libbpf_ts
{

namespace
{

/// Arguments of a single-element call: descriptor, then up to two buffers, then flags.
struct Arguments {
	int32_t fd = -1;
	void *first = nullptr;
	void *second = nullptr;
	int64_t flags = 0;
	bool valid = false;
};

void *pointerOf(napi_env env, napi_value value, bool &valid)
{
	void *data = nullptr;
	size_t size;
	napi_valuetype type;
	if (napi_get_buffer_info(env, value, &data, &size) == napi_ok)
		return data;
	if (napi_typeof(env, value, &type) != napi_ok || type != napi_undefined)
		valid = false;
	return nullptr;
}

Arguments arguments(napi_env env, napi_callback_info info)
{
	Arguments a;
	size_t argc = 4;
	napi_value argv[4];
	if (napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr) != napi_ok ||
	    napi_get_value_int32(env, argv[0], &a.fd) != napi_ok)
		return a;
	a.valid = true;
	a.first = pointerOf(env, argv[1], a.valid);
	if (argc > 2)
		a.second = pointerOf(env, argv[2], a.valid);
	if (argc > 3)
		napi_get_value_int64(env, argv[3], &a.flags);
	return a;
}

template <typename Call>
napi_value element(napi_env env, napi_callback_info info, Call call)
{
	Arguments a = arguments(env, info);
	if (!a.valid) {
		napi_throw_type_error(env, nullptr, "expected (fd, Buffer, Buffer, flags)");
		return nullptr;
	}
	napi_value value;
	napi_create_int32(env, call(a), &value);
	return value;
}

napi_value lookup(napi_env env, napi_callback_info info)
{
	return element(env, info, [](const Arguments &a) {
		return bpf_map_lookup_elem_flags(a.fd, a.first, a.second, static_cast<__u64>(a.flags));
	});
}

napi_value update(napi_env env, napi_callback_info info)
{
	return element(env, info, [](const Arguments &a) {
		return bpf_map_update_elem(a.fd, a.first, a.second, static_cast<__u64>(a.flags));
	});
}

napi_value remove(napi_env env, napi_callback_info info)
{
	return element(env, info, [](const Arguments &a) { return bpf_map_delete_elem(a.fd, a.first); });
}

napi_value take(napi_env env, napi_callback_info info)
{
	return element(env, info, [](const Arguments &a) {
		return bpf_map_lookup_and_delete_elem_flags(a.fd, a.first, a.second, static_cast<__u64>(a.flags));
	});
}

napi_value nextKey(napi_env env, napi_callback_info info)
{
	return element(env, info, [](const Arguments &a) { return bpf_map_get_next_key(a.fd, a.first, a.second); });
}

Napi::Value create(const Napi::CallbackInfo &info)
{
	LIBBPF_OPTS(bpf_map_create_opts, options);
	Napi::Object extra = info[5].As<Napi::Object>();
	auto number = [&extra](const char *key) {
		Napi::Value value = extra.Get(key);
		return value.IsNumber() ? static_cast<__u64>(value.As<Napi::Number>().Int64Value()) : 0;
	};
	options.map_flags = static_cast<__u32>(number("flags"));
	options.map_extra = number("mapExtra");
	options.numa_node = static_cast<__u32>(number("numaNode"));
	options.map_ifindex = static_cast<__u32>(number("ifindex"));
	options.inner_map_fd = static_cast<__u32>(number("innerMapFd"));
	options.btf_fd = static_cast<__u32>(number("btfFd"));
	options.btf_key_type_id = static_cast<__u32>(number("btfKeyTypeId"));
	options.btf_value_type_id = static_cast<__u32>(number("btfValueTypeId"));
	std::string name = strArg(info, 1);
	int fd = bpf_map_create(static_cast<enum bpf_map_type>(u32Arg(info, 0)), name.empty() ? nullptr : name.c_str(),
				u32Arg(info, 2), u32Arg(info, 3), u32Arg(info, 4), &options);
	return fdResult(info.Env(), fd);
}

Napi::Value freeze(const Napi::CallbackInfo &info)
{
	return result(info.Env(), bpf_map_freeze(intArg(info, 0)));
}

/// The outcome of a batch call: [rc, number of elements the kernel handled].
Napi::Value batchResult(Napi::Env env, int rc, __u32 count)
{
	Napi::Array pair = Napi::Array::New(env, 2);
	pair.Set(0u, rc);
	pair.Set(1u, count);
	return pair;
}

Napi::Value lookupBatch(const Napi::CallbackInfo &info)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	__u32 count = u32Arg(info, 5);
	bool andDelete = info[6].As<Napi::Boolean>().Value();
	auto call = andDelete ? bpf_map_lookup_and_delete_batch : bpf_map_lookup_batch;
	int rc = call(intArg(info, 0), bytesArg(info, 1).data, bytesArg(info, 2).data, bytesArg(info, 3).data,
		      bytesArg(info, 4).data, &count, &options);
	return batchResult(info.Env(), rc, count);
}

Napi::Value updateBatch(const Napi::CallbackInfo &info)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options, .elem_flags = u64Arg(info, 4));
	__u32 count = u32Arg(info, 3);
	int rc =
	    bpf_map_update_batch(intArg(info, 0), bytesArg(info, 1).data, bytesArg(info, 2).data, &count, &options);
	return batchResult(info.Env(), rc, count);
}

Napi::Value deleteBatch(const Napi::CallbackInfo &info)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	__u32 count = u32Arg(info, 2);
	int rc = bpf_map_delete_batch(intArg(info, 0), bytesArg(info, 1).data, &count, &options);
	return batchResult(info.Env(), rc, count);
}

/// The map's memory, to be read, as an ArrayBuffer that unmaps it when it goes; or -errno.
Napi::Value memory(const Napi::CallbackInfo &info)
{
	size_t length = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
	void *data = mmap(nullptr, length, PROT_READ, MAP_SHARED, intArg(info, 0), 0);
	if (data == MAP_FAILED)
		return result(info.Env(), -errno);
	return Napi::ArrayBuffer::New(
	    info.Env(), data, length,
	    [](Napi::Env, void *mapped, size_t *size) {
		    munmap(mapped, *size);
		    delete size;
	    },
	    new size_t(length));
}

void plain(Napi::Env env, Napi::Object exports, const char *name, napi_callback callback)
{
	napi_value function;
	napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
	exports.Set(name, Napi::Value(env, function));
}

} // namespace

void initMap(Napi::Env env, Napi::Object exports)
{
	plain(env, exports, "mapLookup", lookup);
	plain(env, exports, "mapUpdate", update);
	plain(env, exports, "mapDelete", remove);
	plain(env, exports, "mapTake", take);
	plain(env, exports, "mapNextKey", nextKey);
	method<create>(env, exports, "mapCreate");
	method<freeze>(env, exports, "mapFreeze");
	method<memory>(env, exports, "mapMemory");
	method<lookupBatch>(env, exports, "mapLookupBatch");
	method<updateBatch>(env, exports, "mapUpdateBatch");
	method<deleteBatch>(env, exports, "mapDeleteBatch");
}

} // namespace libbpf_ts
