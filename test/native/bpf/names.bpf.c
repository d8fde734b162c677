// A name that the kernel cuts.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int a_program_with_quite_a_long_name(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
