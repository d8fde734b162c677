// A value with a member of every kind that a codec must know; written and checked by the compiler's own idea of it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

enum color { RED, GREEN = 5, BLUE = -2 };
enum huge { SMALLEST = 1, LARGEST = 0x8000000000000001ULL };

struct inner {
	__u16 a;
	__u8 b[3];
};

union word {
	__u32 whole;
	__u8 bytes[4];
};

struct everything {
	__u8 u8;
	__s8 s8;
	__u16 u16;
	__s16 s16;
	__u32 u32;
	__s32 s32;
	__u64 u64;
	__s64 s64;
	__be16 be16;
	__be32 be32;
	__be64 be64;
	__u32 tagged __attribute__((btf_decl_tag("be")));
	bool yes;
	enum color color;
	enum huge huge;
	char text[8];
	__u32 numbers[3];
	struct inner nested;
	struct inner list[2];
	union word word;
	union {
		__u32 left;
		__u16 right[2];
	};
	struct {
		__u8 deep;
	};
	__u32 bit1 : 1;
	__u32 bits7 : 7;
	__s32 signed5 : 5;
	__u32 : 3;
	__u32 bits16 : 16;
	__u64 wide40 : 40;
	__s64 wide20 : 20;
	__u16 twins[2][2];
	void *pointer;
	unsigned __int128 u128;
};

struct key {
	__be32 address;
	__be16 port;
	__u8 protocol;
	__u8 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, struct key);
	__type(value, struct everything);
} types SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 8);
	__type(key, struct key);
	__type(value, struct inner);
} percpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 4);
	__type(value, struct key);
} line SEC(".maps");

const volatile struct key chosen;

#define FILL(v)                                                                                                \
	do {                                                                                                   \
		(v)->u8 = 200;                                                                                 \
		(v)->s8 = -100;                                                                                \
		(v)->u16 = 60000;                                                                              \
		(v)->s16 = -30000;                                                                             \
		(v)->u32 = 4000000000u;                                                                        \
		(v)->s32 = -2000000000;                                                                        \
		(v)->u64 = 0xfedcba9876543210ull;                                                              \
		(v)->s64 = -5000000000ll;                                                                      \
		(v)->be16 = __builtin_bswap16(0x1234);                                                         \
		(v)->be32 = __builtin_bswap32(0x12345678);                                                     \
		(v)->be64 = __builtin_bswap64(0x123456789abcdef0ull);                                          \
		(v)->tagged = __builtin_bswap32(0xa0b0c0d0);                                                   \
		(v)->yes = true;                                                                               \
		(v)->color = BLUE;                                                                             \
		(v)->huge = LARGEST;                                                                           \
		__builtin_memcpy((v)->text, "eightby", 8);                                                     \
		(v)->numbers[0] = 1;                                                                           \
		(v)->numbers[1] = 2;                                                                           \
		(v)->numbers[2] = 3;                                                                           \
		(v)->nested.a = 7;                                                                             \
		(v)->nested.b[2] = 9;                                                                          \
		(v)->list[1].a = 11;                                                                           \
		(v)->word.whole = 0x04030201;                                                                  \
		(v)->right[1] = 77;                                                                            \
		(v)->deep = 42;                                                                                \
		(v)->bit1 = 1;                                                                                 \
		(v)->bits7 = 99;                                                                               \
		(v)->signed5 = -3;                                                                             \
		(v)->bits16 = 54321;                                                                           \
		(v)->wide40 = 0xabcdef0123ull;                                                                 \
		(v)->wide20 = -1000;                                                                           \
		(v)->twins[1][0] = 5;                                                                          \
		(v)->pointer = (void *)0xffff800012345678ull;                                                  \
		(v)->u128 = ((unsigned __int128)1 << 100) + 1;                                                 \
	} while (0)

static const struct key where = {.address = 0x0100000a, .port = 0x5000, .protocol = 6};

static struct everything scratch;

// Writes the value as C has it.
SEC("xdp")
int write(struct xdp_md *ctx)
{
	FILL(&scratch);
	return bpf_map_update_elem(&types, &where, &scratch, 0) ? 1 : 0;
}

// Compares what user space wrote with what C has: 0 when every byte is the same, else the first offset that differs, plus 1.
SEC("xdp")
int compare(struct xdp_md *ctx)
{
	struct everything *theirs = bpf_map_lookup_elem(&types, &where);
	if (!theirs)
		return -1;
	FILL(&scratch);
	for (unsigned int i = 0; i < sizeof(scratch); i++) {
		if (((volatile char *)&scratch)[i] != ((volatile char *)theirs)[i])
			return i + 1;
	}
	return 0;
}

SEC("xdp")
int port_of_chosen(struct xdp_md *ctx)
{
	return __builtin_bswap16(chosen.port);
}

char _license[] SEC("license") = "GPL";
