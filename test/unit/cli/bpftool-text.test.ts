// What prog, map, link and net print for people, on a terminal of 80 columns.
import { describe, expect, it } from "vitest";
import { fold, linkLines, mapLines, netLines, programLines } from "../../../src/cli/output/bpftool-text.js";
import { hexPieces, listPieces } from "../../../src/cli/output/elements.js";
import { indentJson } from "../../../src/cli/output/indent.js";

const columns = 80;
const shown = (lines: readonly string[]) => `\n${fold(lines, columns).join("\n")}\n`;

const program = {
  id: 41,
  type: "xdp",
  name: "xgw_xdp",
  tag: "c205e29ff9435b06",
  gpl_compatible: true,
  run_time_ns: 61_000,
  run_cnt: 1000,
  bytes_xlated: 31_824,
  jited: true,
  bytes_jited: 17_975,
  bytes_memlock: 36_864,
  map_ids: [90_352, 90_342, 90_336, 90_353, 90_335, 90_322, 90_346],
  btf_id: 107,
  xgw: {
    instance: "gw1",
    program: "xgw_xdp",
    purpose: "forwards packets of known flows, drops what may not come in",
    attached: [{ attachment: "xdp_eth0", device: "eth0" }],
    ns_per_run: 61,
  },
};

describe("at 80 columns", () => {
  it("a program, with its run figures", () => {
    expect(shown(programLines(program))).toBe(`
41: xdp  name xgw_xdp  tag c205e29ff9435b06  gpl run_time_ns 61000 run_cnt 1000
	xlated 31824B  jited 17975B  memlock 36864B  map_ids 90352,90342,90336,
		90353,90335,90322,90346
	btf_id 107
	xgw gw1: forwards packets of known flows, drops what may not come in
	    61 ns per run
	    attached as xdp_eth0
`);
  });

  it("a program on many tunnels", () => {
    const attached = Array.from({ length: 5000 }, (_, n) => ({ attachment: `learn_xgre${n}`, tenant: `user${n}` }));
    const many = programLines({ ...program, xgw: { ...program.xgw, attached } });
    expect(many.at(-1)).toBe("\t    attached 5000 times: see xgw link show");
  });

  it("a map, with what it is for", () => {
    const map = {
      id: 7,
      type: "hash",
      name: "policy_services",
      flags: 1,
      bytes_key: 8,
      bytes_value: 4,
      max_entries: 131_072,
      bytes_memlock: 2_098_120,
      frozen: 1,
      btf_id: 12,
      pinned: ["/sys/fs/bpf/xgw/gw1/maps/policy_services"],
      xgw: {
        instance: "gw1",
        map: "policy_services",
        purpose: "policy: rules",
        key: "page and service",
        value: "rule",
      },
    };
    expect(shown(mapLines(map))).toBe(`
7: hash  name policy_services  flags 0x1
	key 8B  value 4B  max_entries 131072  memlock 2098120B
	pinned /sys/fs/bpf/xgw/gw1/maps/policy_services
	btf_id 12  frozen
	xgw gw1: policy_services: policy: rules
	    key: page and service
	    value: rule
`);
  });

  const tcx = { id: 3, type: "tcx", prog_id: 41, devname: "xgre1000", ifindex: 9, attach_type: "tcx_egress" };
  const ofTenant = { instance: "gw1", attachment: "learn_xgre1000", program: "xgw_learn", tenant: "user1" };

  it("links: of a tenant's tunnel, in netfilter, of somebody else", () => {
    const links = [
      { ...tcx, xgw: { ...ofTenant, device: "xgre1000" } },
      { id: 4, type: "netfilter", prog_id: 42, pf: 2, hook: 2, prio: 5, flags: 0 },
      { id: 5, type: "raw_tracepoint", prog_id: 43, tp_name: "neigh_create" },
    ];
    // bpftool ends lines with blanks.
    expect(shown(links.flatMap(linkLines)).replaceAll(/ +$/gm, "")).toBe(`
3: tcx  prog 41
	ifindex xgre1000(9)  attach_type tcx_egress
	xgw gw1: learn_xgre1000 runs xgw_learn on xgre1000 (user1)
4: netfilter  prog 42
	ip forward prio 5
5: raw_tracepoint  prog 43
	tp 'neigh_create'
`);
  });

  it("the devices of a namespace", () => {
    const { xgw } = program;
    const net = {
      xdp: [{ devname: "eth0", ifindex: 2, mode: "driver", id: 41, xgw: { ...xgw, attachment: "xdp_eth0" } }],
      tc: [
        {
          devname: "xgre1000",
          ifindex: 9,
          kind: "tcx/egress",
          name: "xgw_learn",
          prog_id: 44,
          link_id: 3,
          xgw: ofTenant,
        },
      ],
      flow_dissector: [],
      netfilter: [{ pf: 2, hook: 0, prio: -445, flags: 0, id: 45 }],
    };
    expect(shown(netLines(net))).toBe(`
xdp:
eth0(2) driver id 41
	xgw gw1: xdp_eth0 runs xgw_xdp

tc:
xgre1000(9) tcx/egress xgw_learn prog_id 44 link_id 3
	xgw gw1: learn_xgre1000 runs xgw_learn (user1)

flow_dissector:

netfilter:
	ip prerouting prio -445 prog_id 45
`);
  });
});

it("where it goes into a pipe no line is folded", () => {
  expect(fold(programLines(program), undefined)).toEqual(programLines(program));
});

describe("elements", () => {
  it("as bpftool prints them, and still JSON", () => {
    const element = '{"key":{"tenant":"user1","address":"172.168.0.7"},"values":[{"cpu":0,"value":{}}]}';
    const text = [...listPieces([element, '{"key":"a\\"{,"}'], true)].join("");
    expect(text).toBe(`[{
        "key": {
            "tenant": "user1",
            "address": "172.168.0.7"
        },
        "values": [{
                "cpu": 0,
                "value": {}
            }
        ]
    },{
        "key": "a\\"{,"
    }
]
`);
    expect(JSON.parse(text)).toEqual([JSON.parse(element), { key: 'a"{,' }]);
  });

  it("none at all", () => {
    expect([[...listPieces([], true)].join(""), [...hexPieces([])].join("")]).toEqual(["[]\n", "Found 0 elements\n"]);
  });

  it("of 64 bits to the last digit", () => {
    expect(indentJson('{"bytes":18446744073709551615}')).toBe('{\n    "bytes": 18446744073709551615\n}');
  });
});
