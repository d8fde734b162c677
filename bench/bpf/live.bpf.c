// SPDX-License-Identifier: GPL-2.0
/* Both ends of a wire, and the least that a gateway between two wires can do. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* [0]: the device that frames are sent out of, or redirected to. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} way SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} arrived SEC(".maps");

/* The generator calls it behind each new packet of a live test run. Also the bare redirect on a device. */
SEC("xdp")
int send(struct xdp_md *ctx)
{
	(void)ctx;
	return bpf_redirect_map(&way, 0, XDP_ABORTED);
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	__u32 zero = 0;
	__u64 *frames = bpf_map_lookup_elem(&arrived, &zero);

	(void)ctx;
	if (frames)
		++*frames;
	return XDP_DROP;
}

char _license[] SEC("license") = "GPL";
