// One program and one map of each kind that the tests need most.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct key {
	__u32 address;
	__u16 port;
	__u16 pad;
};

struct value {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 128);
	__type(key, struct key);
	__type(value, struct value);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

const volatile __u32 verdict = XDP_PASS;
const volatile __s8 small = -1;
const volatile __u64 wide = 1;
const volatile __u8 mac[6];
__u64 seen;

struct event {
	__u32 length;
	__u32 number;
};

SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 zero = 0;
	__u64 *counter = bpf_map_lookup_elem(&counters, &zero);
	if (counter)
		(*counter)++;
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (event) {
		event->length = ctx->data_end - ctx->data;
		event->number = seen;
		bpf_ringbuf_submit(event, 0);
	}
	seen++;
	return verdict;
}

SEC("xdp")
int drop_all(struct xdp_md *ctx)
{
	struct key key = {};
	bpf_map_delete_elem(&flows, &key);
	return XDP_DROP;
}

SEC("tc")
int pass(struct __sk_buff *skb)
{
	return -1;
}

SEC("tc")
int pass_too(struct __sk_buff *skb)
{
	return -1;
}

char _license[] SEC("license") = "GPL";
