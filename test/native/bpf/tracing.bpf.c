// A program whose link is of another kind: not of a network device.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("iter/bpf_map")
int maps(void *ctx)
{
	return 0;
}

char _license[] SEC("license") = "GPL";
