// SPDX-License-Identifier: GPL-2.0
/* The far end of a cable: puts any frame on it, and keeps a copy of what comes out of it. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define WIRE_FRAME_MAX 4096

/* What becomes of a frame when it has been copied: XDP_DROP, or XDP_PASS where a host lives behind the cable. */
const volatile __u32 onward = XDP_DROP;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u8[WIRE_FRAME_MAX]);
} scratch SEC(".maps");

/* Frames that could not be copied: no room in the ring, or too long. */
__u64 lost;

SEC("xdp.frags")
int wire_copy(struct xdp_md *ctx)
{
	__u64 length = bpf_xdp_get_buff_len(ctx);
	__u32 zero = 0;
	void *copy = bpf_map_lookup_elem(&scratch, &zero);

	if (!copy || length >= WIRE_FRAME_MAX)
		goto lost;
	asm volatile("%0 &= %1" : "+r"(length) : "i"(WIRE_FRAME_MAX - 1)); /* for the verifier, in one register */
	if (!length || bpf_xdp_load_bytes(ctx, 0, copy, length) || bpf_ringbuf_output(&seen, copy, length, 0))
		goto lost;
	return onward;
lost:
	__sync_fetch_and_add(&lost, 1);
	return onward;
}

/*
 * In a test run: the frame leaves by the device that the context names. Its EtherType comes in cb[0], as it lies in memory:
 * newer kernels take no test run of a frame that claims to be IP and is too short for it.
 */
SEC("tc")
int wire_send(struct __sk_buff *skb)
{
	__u16 type = skb->cb[0];

	if (bpf_skb_store_bytes(skb, 12, &type, sizeof(type), 0))
		return TC_ACT_SHOT;
	return bpf_clone_redirect(skb, skb->ifindex, 0) ? TC_ACT_SHOT : TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
