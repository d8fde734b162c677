// A program that the verifier must reject.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int out_of_bounds(struct xdp_md *ctx)
{
	unsigned char *packet = (void *)(long)ctx->data;
	return packet[100];
}

char _license[] SEC("license") = "GPL";
