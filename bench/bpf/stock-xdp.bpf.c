// SPDX-License-Identifier: GPL-2.0
/* The whole XDP program over a stock HASH. */
#include "stock.h"
#include "../../bpf/xdp.bpf.c"
