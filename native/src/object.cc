// bpf_object: open, describe, adjust, load. A handle is a number in the environment's table.
#include "addon.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <cstring>

#include <fcntl.h>

namespace libbpf_ts
{

namespace
{

class Object : public Closable
{
      public:
	explicit Object(bpf_object *object) : raw(object)
	{
	}
	~Object() override
	{
		bpf_object__close(raw);
	}
	bpf_object *raw;
};

bpf_object *objectArg(const Napi::CallbackInfo &info)
{
	auto *object = dynamic_cast<Object *>(addonOf(info.Env()).find(u32Arg(info, 0)));
	if (!object)
		throw Napi::Error::New(info.Env(), "not an open object");
	return object->raw;
}

bpf_map *mapArg(const Napi::CallbackInfo &info)
{
	bpf_object *object = objectArg(info);
	std::string name = strArg(info, 1);
	bpf_map *map;
	// Not bpf_object__find_map_by_name(): names that start with a dot mean something else to it.
	bpf_object__for_each_map(map, object)
	{
		if (name == bpf_map__name(map))
			return map;
	}
	return nullptr;
}

bpf_program *programArg(const Napi::CallbackInfo &info)
{
	return bpf_object__find_program_by_name(objectArg(info), strArg(info, 1).c_str());
}

Napi::Value open(const Napi::CallbackInfo &info)
{
	LogScope log(info.Env());
	LIBBPF_OPTS(bpf_object_open_opts, options);
	std::string name = info[1].IsString() ? strArg(info, 1) : "";
	std::string btf = info[2].IsString() ? strArg(info, 2) : "";
	if (!name.empty())
		options.object_name = name.c_str();
	if (!btf.empty())
		options.btf_custom_path = btf.c_str();
	Bytes bytes = bytesArg(info, 0);
	bpf_object *object = bpf_object__open_mem(bytes.data, bytes.size, &options);
	if (!object)
		return result(info.Env(), -errno);
	return result(info.Env(), addonOf(info.Env()).keep(std::make_unique<Object>(object)));
}

Napi::Object describeMap(Napi::Env env, const bpf_map *map)
{
	Napi::Object o = Napi::Object::New(env);
	o.Set("name", bpf_map__name(map));
	o.Set("type", static_cast<uint32_t>(bpf_map__type(map)));
	o.Set("keySize", bpf_map__key_size(map));
	o.Set("valueSize", bpf_map__value_size(map));
	o.Set("maxEntries", bpf_map__max_entries(map));
	o.Set("flags", bpf_map__map_flags(map));
	o.Set("mapExtra", Napi::BigInt::New(env, static_cast<uint64_t>(bpf_map__map_extra(map))));
	o.Set("btfKeyTypeId", bpf_map__btf_key_type_id(map));
	o.Set("btfValueTypeId", bpf_map__btf_value_type_id(map));
	o.Set("internal", bpf_map__is_internal(map));
	o.Set("autocreate", bpf_map__autocreate(map));
	const char *pin = bpf_map__pin_path(map);
	if (pin)
		o.Set("pinPath", pin);
	bpf_map *inner = bpf_map__inner_map(const_cast<bpf_map *>(map));
	if (inner)
		o.Set("inner", describeMap(env, inner));
	return o;
}

Napi::Object describeProgram(Napi::Env env, const bpf_program *program)
{
	Napi::Object o = Napi::Object::New(env);
	o.Set("name", bpf_program__name(program));
	o.Set("section", bpf_program__section_name(program));
	o.Set("type", static_cast<uint32_t>(bpf_program__type(program)));
	o.Set("attachType", static_cast<uint32_t>(bpf_program__expected_attach_type(program)));
	o.Set("flags", bpf_program__flags(program));
	o.Set("instructions", static_cast<double>(bpf_program__insn_cnt(program)));
	o.Set("autoload", bpf_program__autoload(program));
	return o;
}

Napi::Value describe(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	bpf_object *object = objectArg(info);
	Napi::Object spec = Napi::Object::New(env);
	spec.Set("name", bpf_object__name(object));
	uint32_t i = 0;
	Napi::Array maps = Napi::Array::New(env);
	bpf_map *map;
	bpf_object__for_each_map(map, object) maps.Set(i++, describeMap(env, map));
	spec.Set("maps", maps);
	i = 0;
	Napi::Array programs = Napi::Array::New(env);
	bpf_program *program;
	bpf_object__for_each_program(program, object) programs.Set(i++, describeProgram(env, program));
	spec.Set("programs", programs);
	const struct btf *btf = bpf_object__btf(object);
	if (btf) {
		__u32 size = 0;
		const void *raw = btf__raw_data(btf, &size);
		if (raw)
			spec.Set("btf", Napi::Buffer<uint8_t>::Copy(env, static_cast<const uint8_t *>(raw), size));
	}
	return spec;
}

Napi::Value initialValue(const Napi::CallbackInfo &info)
{
	bpf_map *map = mapArg(info);
	size_t size = 0;
	void *data = map ? bpf_map__initial_value(map, &size) : nullptr;
	if (!data)
		return result(info.Env(), map ? -EINVAL : -ENOENT);
	return Napi::Buffer<uint8_t>::Copy(info.Env(), static_cast<uint8_t *>(data), size);
}

Napi::Value setInitialValue(const Napi::CallbackInfo &info)
{
	bpf_map *map = mapArg(info);
	if (!map)
		return result(info.Env(), -ENOENT);
	Bytes bytes = bytesArg(info, 2);
	return result(info.Env(), bpf_map__set_initial_value(map, bytes.data, bytes.size));
}

Napi::Value setMap(const Napi::CallbackInfo &info)
{
	LogScope log(info.Env());
	bpf_map *map = mapArg(info);
	if (!map)
		return result(info.Env(), -ENOENT);
	std::string field = strArg(info, 2);
	if (field == "pinPath")
		return result(info.Env(),
			      bpf_map__set_pin_path(map, info[3].IsString() ? strArg(info, 3).c_str() : nullptr));
	uint32_t value = u32Arg(info, 3);
	int rc = -EINVAL;
	if (field == "maxEntries")
		rc = bpf_map__set_max_entries(map, value);
	else if (field == "flags")
		rc = bpf_map__set_map_flags(map, value);
	else if (field == "ifindex")
		rc = bpf_map__set_ifindex(map, value);
	else if (field == "numaNode")
		rc = bpf_map__set_numa_node(map, value);
	else if (field == "autocreate")
		rc = bpf_map__set_autocreate(map, value != 0);
	else if (field == "type")
		rc = bpf_map__set_type(map, static_cast<enum bpf_map_type>(value));
	else if (field == "valueSize")
		rc = bpf_map__set_value_size(map, value);
	else if (field == "innerMapFd")
		rc = bpf_map__set_inner_map_fd(map, static_cast<int>(value));
	else if (field == "reuseFd")
		rc = bpf_map__reuse_fd(map, static_cast<int>(value));
	return result(info.Env(), rc);
}

Napi::Value setProgram(const Napi::CallbackInfo &info)
{
	LogScope log(info.Env());
	bpf_program *program = programArg(info);
	if (!program)
		return result(info.Env(), -ENOENT);
	std::string field = strArg(info, 2);
	uint32_t value = u32Arg(info, 3);
	int rc = -EINVAL;
	if (field == "autoload") {
		rc = bpf_program__set_autoload(program, value != 0);
	} else if (field == "ifindex") {
		bpf_program__set_ifindex(program, value);
		rc = 0;
	} else if (field == "flags") {
		rc = bpf_program__set_flags(program, value);
	} else if (field == "type") {
		rc = bpf_program__set_type(program, static_cast<enum bpf_prog_type>(value));
	} else if (field == "attachType") {
		rc = bpf_program__set_expected_attach_type(program, static_cast<enum bpf_attach_type>(value));
	} else if (field == "logLevel") {
		rc = bpf_program__set_log_level(program, value);
	} else if (field == "attachTarget") {
		std::string function = info[4].IsString() ? strArg(info, 4) : "";
		rc = bpf_program__set_attach_target(program, static_cast<int>(value),
						    function.empty() ? nullptr : function.c_str());
	}
	return result(info.Env(), rc);
}

Napi::Value load(const Napi::CallbackInfo &info)
{
	LogScope log(info.Env());
	return result(info.Env(), bpf_object__load(objectArg(info)));
}

/// A descriptor of the caller's own for a loaded map, so that it may outlive the object.
Napi::Value mapFd(const Napi::CallbackInfo &info)
{
	bpf_map *map = mapArg(info);
	int fd = map ? bpf_map__fd(map) : -ENOENT;
	return fdResult(info.Env(), fd < 0 ? (map ? -EINVAL : fd) : fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

Napi::Value programFd(const Napi::CallbackInfo &info)
{
	bpf_program *program = programArg(info);
	int fd = program ? bpf_program__fd(program) : -ENOENT;
	return fdResult(info.Env(), fd < 0 ? (program ? -EINVAL : fd) : fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

Napi::Value close(const Napi::CallbackInfo &info)
{
	addonOf(info.Env()).drop(u32Arg(info, 0));
	return result(info.Env(), 0);
}

} // namespace

void initObject(Napi::Env env, Napi::Object exports)
{
	method<open>(env, exports, "objectOpen");
	method<describe>(env, exports, "objectDescribe");
	method<initialValue>(env, exports, "objectInitialValue");
	method<setInitialValue>(env, exports, "objectSetInitialValue");
	method<setMap>(env, exports, "objectSetMap");
	method<setProgram>(env, exports, "objectSetProgram");
	method<load>(env, exports, "objectLoad");
	method<mapFd>(env, exports, "objectMapFd");
	method<programFd>(env, exports, "objectProgramFd");
	method<close>(env, exports, "objectClose");
}

} // namespace libbpf_ts
