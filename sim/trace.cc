#include "sim/trace.h"

#include <cstdio>

#include <fmt/format.h>

namespace weir::sim {
namespace {
double seconds(base::MonoTime now) { return static_cast<double>(now.time_since_epoch().count()) * 1e-9; }
}  // namespace

void Trace::print(base::MonoTime now, std::string_view what, std::uint64_t a, std::uint64_t b) {
  fmt::print(stderr, "{:14.6f} {} {} {}\n", seconds(now), what, a, b);
}

void Trace::print_text(base::MonoTime now, std::string_view who, std::string_view line) {
  fmt::print(stderr, "{:14.6f} [{}] {}\n", seconds(now), who, line);
}

}  // namespace weir::sim
