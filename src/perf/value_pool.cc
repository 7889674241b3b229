#include "perf/value_pool.h"

#include <algorithm>
#include <fstream>

#include <fmt/core.h>

namespace weir::perf {
namespace {

constexpr std::string_view repeated = "The weir holds the river back for a moment and lets all of it pass. ";

std::string make_value(std::uint32_t size, double random_ratio, std::uint64_t& state) {
  std::string value(size, '\0');
  const auto random = static_cast<std::size_t>(random_ratio * size);
  for (std::size_t i = 0; i < size; ++i) {
    // The high byte of a linear congruence: not guessable by a compressor, and cheap.
    if (i < random) state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    value[i] = i < random ? static_cast<char>(state >> 56U) : repeated[i % repeated.size()];
  }
  return value;
}

}  // namespace

base::Result<ValuePool> ValuePool::make(const Options& options) {
  ValuePool pool;
  if (!options.values_file.empty()) {
    std::ifstream file(options.values_file, std::ios::binary);
    std::size_t total = 0;
    for (std::string line; std::getline(file, line) && total < pool_bytes_max; total += line.size())
      if (!line.empty()) pool.values_.push_back(line);
    if (pool.values_.empty())
      return base::fail(base::ErrorKind::invalid, fmt::format("{}: no values in it (one a line)", options.values_file));
  } else {
    if (options.random_ratio < 0 || options.random_ratio > 1 || options.random_pool_size < 1)
      return base::fail(base::ErrorKind::invalid, "--random-ratio is between 0 and 1, --random-pool-size at least 1");
    auto sizes = record_sizes(options.record_size, options.random_pool_size);
    if (!sizes) return std::unexpected(sizes.error());
    const std::size_t rounds = std::max<std::size_t>(1, static_cast<std::size_t>(options.random_pool_size) / sizes->size());
    std::uint64_t state = 0x9E3779B97F4A7C15ULL;
    std::size_t total = 0;
    // At least each size once, however large.
    for (std::size_t round = 0; round < rounds && (round == 0 || total < pool_bytes_max); ++round) {
      for (const std::uint32_t size : *sizes) {
        pool.values_.push_back(make_value(size, options.random_ratio, state));
        total += size;
      }
    }
  }
  double total = 0;
  for (const std::string& value : pool.values_) total += static_cast<double>(value.size());
  pool.mean_bytes_ = total / static_cast<double>(pool.values_.size());
  return pool;
}

}  // namespace weir::perf
