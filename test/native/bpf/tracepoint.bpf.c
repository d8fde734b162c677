// A program on a tracepoint of the kernel.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

unsigned long long made;

SEC("raw_tp/neigh_create")
int count_neighbours(void *ctx)
{
	__sync_fetch_and_add(&made, 1);
	return 0;
}

char _license[] SEC("license") = "GPL";
