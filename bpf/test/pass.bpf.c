// SPDX-License-Identifier: GPL-2.0
/* For the other end of a veth pair: it takes what XDP transmits only when it runs XDP itself. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
