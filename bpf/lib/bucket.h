/* SPDX-License-Identifier: GPL-2.0 */
/* A bucket of things that may be done, so many more a second. */
#ifndef XGW_BUCKET_H
#define XGW_BUCKET_H

#include "../maps.h"

#define SECOND_NS 1000000000ull

/* Whether one more is in the bucket, which holds so many seconds' worth; with `takes`, it is taken out. */
static __always_inline int ask_bucket(struct xgw_bucket *bucket, __u32 per_second, __u32 seconds, int takes)
{
	__u64 now = bpf_ktime_get_ns(), longest = seconds * SECOND_NS;
	__u64 full = longest * per_second, level, elapsed = 0;
	int has = 0;

	if (!bucket)
		return 1;
	bpf_spin_lock(&bucket->lock);
	if (now > bucket->filled) { /* another CPU's clock may have read later */
		elapsed = now - bucket->filled;
		bucket->filled = now;
	}
	if (elapsed > longest)
		elapsed = longest;
	level = bucket->level + elapsed * per_second;
	if (level > full)
		level = full;
	if (level >= SECOND_NS) {
		level -= takes ? SECOND_NS : 0;
		has = 1;
	}
	bucket->level = level;
	bpf_spin_unlock(&bucket->lock);
	return has;
}

#endif
