// sim/trace.h: a running hash over everything a simulated run does, to prove that a seed replays exactly.
// Contract:   only values that mean the same in every run are mixed in: virtual times, ids in order of creation, sizes, names.
//             Never addresses. With print on, the same notes go to stderr as text (`weir_sim --trace`).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "sim/rng.h"

namespace weir::sim {

class Trace {
 public:
  explicit Trace(bool print) : print_(print) {}
  void mix(std::uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3ULL ^ (hash_ >> 47U); }
  /// An event of a door. `what` is a literal; a and b are its ids and sizes.
  void note(base::MonoTime now, std::string_view what, std::uint64_t a, std::uint64_t b) {
    mix(name_hash(what));
    mix(a);
    mix(b);
    if (print_) print(now, what, a, b);
  }
  /// A line of text (log lines): mixed and printed.
  void text(base::MonoTime now, std::string_view who, std::string_view line) {
    mix(name_hash(line));
    if (print_) print_text(now, who, line);
  }
  [[nodiscard]] bool printing() const { return print_; }
  [[nodiscard]] std::uint64_t hash() const { return hash_; }
  /// The hash after every `checkpoint_events` events: where two runs of one seed part is between two of these.
  void checkpoint() { checkpoints_.push_back(hash_); }
  [[nodiscard]] const std::vector<std::uint64_t>& checkpoints() const { return checkpoints_; }

 private:
  static void print(base::MonoTime now, std::string_view what, std::uint64_t a, std::uint64_t b);
  static void print_text(base::MonoTime now, std::string_view who, std::string_view line);
  bool print_;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
  std::vector<std::uint64_t> checkpoints_;
};

}  // namespace weir::sim
