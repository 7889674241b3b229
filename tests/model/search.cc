#include "search.h"

#include <unordered_set>

namespace weir::model_test {
namespace {

// 128 bits of a state's key: two states are taken for one with a chance of about 1e-24 in ten million.
struct Fingerprint {
  std::uint64_t a = 0, b = 0;
  bool operator==(const Fingerprint&) const = default;
};
struct FingerprintHash {
  std::size_t operator()(const Fingerprint& f) const noexcept { return static_cast<std::size_t>(f.a); }
};

std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 32U;
  x *= 0xD6E8FEB86659FD93ULL;
  x ^= x >> 32U;
  x *= 0xD6E8FEB86659FD93ULL;
  return x ^ x >> 32U;
}

Fingerprint fingerprint(const World& world, std::vector<std::uint8_t>& scratch) {
  scratch.clear();
  world.append_key(scratch);
  Fingerprint f{.a = 0x9E3779B97F4A7C15ULL, .b = 0xC2B2AE3D27D4EB4FULL};
  std::uint64_t word = 0;
  unsigned count = 0;
  const auto take = [&f](std::uint64_t w) {
    f.a = mix(f.a ^ w);
    f.b = mix(f.b + w * 0x9FB21C651E98DF25ULL);
  };
  for (const std::uint8_t byte : scratch) {
    word = word << 8U | byte;
    if (++count % 8 == 0) take(word);
  }
  take(word);
  take(scratch.size());
  return f;
}

struct Frame {
  World world;
  std::vector<Step> steps;
  std::size_t next = 0;
};

}  // namespace

Outcome search(const Limits& limits, std::uint64_t states_max) {
  Outcome outcome;
  std::unordered_set<Fingerprint, FingerprintHash> visited;
  std::vector<std::uint8_t> scratch;
  std::vector<Frame> path;
  World first(limits);
  visited.insert(fingerprint(first, scratch));
  path.push_back({.world = first, .steps = first.enabled(), .next = 0});
  while (!path.empty()) {
    Frame& top = path.back();
    if (top.next == top.steps.size()) {
      path.pop_back();
      continue;
    }
    const Step step = top.steps[top.next++];
    World next = top.world;
    ++outcome.steps;
    if (auto broken = next.apply(step)) {
      outcome.broken = std::move(broken);
      for (const Frame& frame : path) outcome.trace.push_back(World::describe(frame.steps[frame.next - 1]));
      break;
    }
    if (!visited.insert(fingerprint(next, scratch)).second) continue;
    if (visited.size() >= states_max) {
      outcome.states = visited.size();
      return outcome;
    }
    std::vector<Step> steps = next.enabled();
    path.push_back({.world = std::move(next), .steps = std::move(steps), .next = 0});
  }
  outcome.states = visited.size();
  outcome.exhausted = !outcome.broken;
  return outcome;
}

}  // namespace weir::model_test
