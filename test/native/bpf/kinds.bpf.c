// A map of every kind, with BTF, and programs that use those that only programs can.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct prefix {
	__u32 length;
	__u8 address[4];
};

#define MAP(kind, name, key_type, value_type, entries, flags)                                                  \
	struct {                                                                                               \
		__uint(type, kind);                                                                            \
		__uint(max_entries, entries);                                                                  \
		__uint(map_flags, flags);                                                                      \
		__type(key, key_type);                                                                         \
		__type(value, value_type);                                                                     \
	} name SEC(".maps")

MAP(BPF_MAP_TYPE_HASH, k_hash, __u32, __u64, 64, 0);
MAP(BPF_MAP_TYPE_LRU_HASH, k_lru, __u32, __u64, 64, 0);
MAP(BPF_MAP_TYPE_ARRAY, k_array, __u32, __u64, 4, 0);
MAP(BPF_MAP_TYPE_PERCPU_HASH, k_pcpu_hash, __u32, __u64, 64, 0);
MAP(BPF_MAP_TYPE_PERCPU_ARRAY, k_pcpu_array, __u32, __u64, 4, 0);
MAP(BPF_MAP_TYPE_LRU_PERCPU_HASH, k_lru_pcpu, __u32, __u64, 64, 0);
MAP(BPF_MAP_TYPE_LPM_TRIE, k_lpm, struct prefix, __u64, 64, BPF_F_NO_PREALLOC);
MAP(BPF_MAP_TYPE_DEVMAP, k_devmap, __u32, __u32, 4, 0);
MAP(BPF_MAP_TYPE_DEVMAP_HASH, k_devmap_hash, __u32, __u32, 4, 0);

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 4);
	__type(value, __u64);
} k_queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 4);
	__type(value, __u64);
} k_stack SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} k_ring SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct inner);
} k_hash_maps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct inner);
} k_array_maps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} k_progs SEC(".maps");

// Looks up key 7 of the map that k_hash_maps holds under 1.
SEC("xdp")
int through(struct xdp_md *ctx)
{
	__u32 outer = 1, key = 7;
	void *map = bpf_map_lookup_elem(&k_hash_maps, &outer);
	if (!map)
		return 100;
	__u64 *value = bpf_map_lookup_elem(map, &key);
	return value ? *value : 101;
}

SEC("xdp")
int jump(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &k_progs, 2);
	return 102;
}

SEC("xdp")
int landed(struct xdp_md *ctx)
{
	return 42;
}

SEC("xdp")
int redirect(struct xdp_md *ctx)
{
	return bpf_redirect_map(&k_devmap, 1, 0);
}

SEC("xdp")
int fill_ring(struct xdp_md *ctx)
{
	__u64 *record = bpf_ringbuf_reserve(&k_ring, 56, 0);
	if (!record)
		return 0;
	*record = 1;
	bpf_ringbuf_submit(record, 0);
	return 1;
}

char _license[] SEC("license") = "GPL";
