// Programs that change the packet and its context.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int grow_and_mark(struct xdp_md *ctx)
{
	if (bpf_xdp_adjust_head(ctx, -8))
		return XDP_ABORTED;
	unsigned char *data = (void *)(long)ctx->data;
	if (data + 1 > (unsigned char *)(long)ctx->data_end)
		return XDP_ABORTED;
	*data = 0xaa;
	return XDP_PASS;
}

SEC("tc")
int double_mark(struct __sk_buff *skb)
{
	skb->mark *= 2;
	return 0;
}

char _license[] SEC("license") = "GPL";
