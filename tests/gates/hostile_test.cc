// Programs by seed in every run, with and without sanitizers; the fuzzer finds more of them.
#include "hostile.h"

#include <vector>

#include <gtest/gtest.h>

#include "sim/rng.h"

namespace weir::gates {
namespace {

constexpr std::uint64_t programs_max = 300;
constexpr std::uint64_t program_bytes_max = 400;

TEST(Hostile, ProgramsBySeedHurtNobodyElse) {
  for (std::uint64_t seed = 1; seed <= programs_max; ++seed) {
    sim::Rng rng(seed);
    std::vector<std::byte> program(rng.below(program_bytes_max));
    for (std::byte& byte : program) byte = static_cast<std::byte>(rng.next());
    attack(program);
  }
}

}  // namespace
}  // namespace weir::gates
