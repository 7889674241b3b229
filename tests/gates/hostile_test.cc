// Programs by seed in every run, with and without sanitizers; the fuzzer finds more of them.
#include "hostile.h"

#include <cstdlib>
#include <vector>

#include <gtest/gtest.h>

#include "sim/rng.h"

namespace weir::gates {
namespace {

// WEIR_HOSTILE_PROGRAMS asks for more.
std::uint64_t program_count() {
  const char* const asked = std::getenv("WEIR_HOSTILE_PROGRAMS");
  return asked == nullptr ? 300 : std::strtoull(asked, nullptr, 10);
}
constexpr std::uint64_t program_bytes_max = 400;

TEST(Hostile, ProgramsBySeedHurtNobodyElse) {
  const std::uint64_t programs = program_count();
  for (std::uint64_t seed = 1; seed <= programs; ++seed) {
    sim::Rng rng(seed);
    std::vector<std::byte> program(rng.below(program_bytes_max));
    for (std::byte& byte : program) byte = static_cast<std::byte>(rng.next());
    attack(program);
  }
}

}  // namespace
}  // namespace weir::gates
