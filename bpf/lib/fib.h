/* SPDX-License-Identifier: GPL-2.0 */
/* Look-ups in the kernel's tables of routes and neighbours: bpf_fib_lookup. */
#ifndef XGW_FIB_H
#define XGW_FIB_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define XGW_AF_INET 2

#endif
