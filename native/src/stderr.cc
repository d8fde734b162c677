// Stands in for stderr inside the static libbpf; see CMakeLists.txt.
#include <cstdio>

extern "C" {
__attribute__((visibility("hidden"))) FILE *libbpf_ts_stderr = stderr;
}
