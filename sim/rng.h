// sim/rng.h: the only source of chance in a simulated run.
// Contract:   a stream gives the same numbers for the same seed on every machine; fork(label) gives an independent stream, so
//             that one door's draws do not shift another's (a changed client does not change the disk's faults).
// Source:     SplitMix64 (Steele, Lea and Flood 2014): small state, good enough mixing for choosing faults.
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>

#include "base/ensure.h"
#include "base/units.h"

namespace weir::sim {

/// FNV-1a over text: names as numbers, the same in every run.
constexpr std::uint64_t name_hash(std::string_view text) {
  std::uint64_t h = 0xcbf29ce484222325ULL;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return h;
}

class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31U);
  }
  /// Uniform in [0, bound).
  std::uint64_t below(std::uint64_t bound) {
    ENSURE(bound > 0, "an empty range has no member");
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64U);
  }
  /// Uniform in [low, high].
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }
  /// True with a probability of ppm / 1,000,000. Draws nothing when ppm is 0, so that a fault that is off does not shift others.
  bool chance_ppm(std::uint32_t ppm) { return ppm != 0 && below(1'000'000) < ppm; }
  bool percent(std::uint32_t percent) { return chance_ppm(percent * 10'000); }
  base::Duration between(base::Duration low, base::Duration high) {
    return base::Duration(
        static_cast<std::int64_t>(between(static_cast<std::uint64_t>(low.count()), static_cast<std::uint64_t>(high.count()))));
  }
  /// A duration of at least `least`, with an exponential tail of the given mean on top (cut at 20 means).
  base::Duration tailed(base::Duration least, base::Duration mean) {
    const double u = static_cast<double>((next() >> 11U) + 1) * 0x1.0p-53;
    const double tail = std::fmin(-std::log(u), 20.0) * static_cast<double>(mean.count());
    return least + base::Duration(static_cast<std::int64_t>(tail));
  }
  /// An independent stream; advances this one by one draw.
  Rng fork(std::string_view label) { return Rng(next() ^ name_hash(label)); }

 private:
  std::uint64_t state_;
};

}  // namespace weir::sim
