// Kernel constants newer than the headers that a distribution may ship (Debian 12: 6.1). They are the
// kernel's ABI.
#pragma once

#include <linux/bpf.h>

namespace libbpf_ts
{

constexpr int kNetfilter = 45;
constexpr int kTcxIngress = 46;
constexpr int kTcxEgress = 47;
constexpr int kNetkitPrimary = 54;
constexpr int kNetkitPeer = 55;

} // namespace libbpf_ts
