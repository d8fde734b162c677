// Programs at a hook of netfilter.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define NF_DROP 0
#define NF_ACCEPT 1

unsigned long long seen;

SEC("netfilter")
int count_packets(void *ctx)
{
	__sync_fetch_and_add(&seen, 1);
	return NF_ACCEPT;
}

SEC("netfilter")
int drop_packets(void *ctx)
{
	return NF_DROP;
}

char _license[] SEC("license") = "GPL";
