// SPDX-License-Identifier: GPL-2.0
// Another version of the data path, for tests of upgrades and downgrades: the same programs over maps of other shapes.
// Each change: file, what is there, what is there instead. The build fails where that is no longer there.
export const otherVersion = [
  // Half as many flows in a bucket, and two fields in each other's place.
  ["shared.h", "#define XGW_FLOW_WAYS 32", "#define XGW_FLOW_WAYS 16"],
  ["shared.h", "sizeof(struct xgw_flow_bucket) == 2048", "sizeof(struct xgw_flow_bucket) == 1024"],
  ["shared.h", "	__u32 generation;	 /* the tenant's, when it was learned */\n", ""],
  [
    "shared.h",
    "	__be32 peer;		 /* the outer source that last was checked against peers */\n",
    "	__be32 peer;\n	__u32 generation;\n",
  ],
  ["shared.h", "struct xgw_flow, generation) == 24", "struct xgw_flow, peer) == 24"],
  // A field that the templates did not have, and another that is larger.
  [
    "shared.h",
    "	__u16 ip_sum; /* one's",
    '	__u64 since __attribute__((btf_decl_tag("xgw:default=7")));\n	__u16 ip_sum; /* one\'s',
  ],
  ["shared.h", "sizeof(struct xgw_encap) == 96", "sizeof(struct xgw_encap) == 104"],
  ["shared.h", "	__u32 translation; /* IPS_SRC_NAT, IPS_DST_NAT */", "	__u64 translation;"],
  ["shared.h", "sizeof(struct xgw_connection) == 48", "sizeof(struct xgw_connection) == 56"],
  // No mark on what the uplink hands over, which the rules of that time (vm/lab/build.mjs) do not look for.
  ["lib/uplink.h", "	skb->mark |= XGW_MARK_UPLINK;\n", ""],
  ["lib/entrance.h", "skb->mark & XGW_MARK_UPLINK", "skb->tc_index & FROM_UPLINK"],
  // Another size of what the config says.
  [
    "maps.h",
    "	__uint(max_entries, 131072); /* set at load */\n	__uint(map_flags, BPF_F_NO_PREALLOC);\n	__type(key, struct xgw_peer_key);",
    "	__uint(max_entries, 65536);\n	__uint(map_flags, BPF_F_NO_PREALLOC);\n	__type(key, struct xgw_peer_key);",
  ],
];
