// The same system calls that libbpf-ts makes, from C: what bench/native/maps.ts compares itself with.
// usage: maps ENTRIES KEY_SIZE VALUE_SIZE CHUNK        prints nanoseconds as JSON
#include <bpf/bpf.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	uint32_t entries = atoi(argv[1]), key_size = atoi(argv[2]), value_size = atoi(argv[3]),
		 chunk = atoi(argv[4]);
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "bench_c", key_size, value_size, entries, NULL);
	if (fd < 0)
		fail("create");
	char *keys = calloc(entries, key_size), *values = calloc(entries, value_size);
	for (uint32_t i = 0; i < entries; i++) {
		memcpy(keys + (size_t)i * key_size, &i, sizeof(i));
		memcpy(values + (size_t)i * value_size, &i, sizeof(i));
	}

	uint64_t begin = now_ns();
	for (uint32_t done = 0; done < entries;) {
		uint32_t count = entries - done < chunk ? entries - done : chunk;
		if (bpf_map_update_batch(fd, keys + (size_t)done * key_size,
					 values + (size_t)done * value_size, &count, NULL))
			fail("update batch");
		done += count;
	}
	uint64_t update = now_ns() - begin;

	char *some_keys = malloc((size_t)chunk * key_size), *some_values = malloc((size_t)chunk * value_size);
	char cursor[64], next[64];
	uint32_t seen = 0;
	begin = now_ns();
	for (int first = 1;; first = 0) {
		uint32_t count = chunk;
		int rc = bpf_map_lookup_batch(fd, first ? NULL : cursor, next, some_keys, some_values, &count,
					      NULL);
		if (rc && errno != ENOENT)
			fail("lookup batch");
		seen += count;
		memcpy(cursor, next, sizeof(cursor));
		if (rc)
			break;
	}
	uint64_t read = now_ns() - begin;
	if (seen != entries)
		fail("not all read");

	char value[1024];
	begin = now_ns();
	for (uint32_t i = 0; i < entries; i++) {
		if (bpf_map_lookup_elem(fd, keys + (size_t)i * key_size, value))
			fail("get");
	}
	uint64_t get = now_ns() - begin;
	begin = now_ns();
	for (uint32_t i = 0; i < entries; i++) {
		if (bpf_map_update_elem(fd, keys + (size_t)i * key_size, values + (size_t)i * value_size, 0))
			fail("set");
	}
	uint64_t set = now_ns() - begin;

	begin = now_ns();
	for (uint32_t done = 0; done < entries;) {
		uint32_t count = entries - done < chunk ? entries - done : chunk;
		if (bpf_map_delete_batch(fd, keys + (size_t)done * key_size, &count, NULL))
			fail("delete batch");
		done += count;
	}
	uint64_t delete = now_ns() - begin;
	printf(
	    "{\"batchUpdateNs\":%lu,\"batchReadNs\":%lu,\"getNs\":%lu,\"setNs\":%lu,\"batchDeleteNs\":%lu}\n",
	    update, read, get, set, delete);
	return 0;
}
