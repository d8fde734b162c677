/* SPDX-License-Identifier: GPL-2.0 */
/* Types that user space reads by BTF and that no map has: the compiler leaves out what no global object is
 * of. */
#ifndef XGW_TYPES_H
#define XGW_TYPES_H

#include "../shared.h"

const volatile struct {
	struct xgw_event event;
	struct xgw_monitor_event monitor_event;
	enum xgw_link link;
	enum xgw_verdict verdict;
	enum xgw_reason reason;
	enum xgw_wrap wrap;
	enum xgw_event_kind event_kind;
	enum xgw_tier tier;
	enum xgw_encap_state encap_state;
	enum xgw_mark mark;
	enum xgw_ct_mark ct_mark;
} xgw_types;

#endif
