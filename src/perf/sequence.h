// perf/sequence.h: what became of a numbered stream of records: lost, duplicated, reordered, counted while they arrive.
// Why:        a benchmark of a broker that loses records is worth nothing, and nobody looks for it afterwards.
// Contract:   numbers of one stream begin at 0 and are sent in order. Not thread-safe. A number that is skipped is missing until it
//             comes (then it was reordered) or the run ends (then it is lost); one that was seen already is a duplicate.
// Limits:     missing_ranges_max ranges are remembered; beyond that a late number counts as a duplicate, and overflowed() says so.
// Tests:      perf/sequence_test.cc
#pragma once

#include <cstdint>
#include <map>

namespace weir::perf {

inline constexpr std::size_t missing_ranges_max = 100'000;

class SequenceTracker {
 public:
  void see(std::uint64_t number) {
    if (number == next_) {
      ++next_;
    } else if (number > next_) {
      if (missing_.size() < missing_ranges_max) {
        missing_.emplace(next_, number);
      } else {
        overflowed_ = true;
      }
      missing_count_ += number - next_;
      next_ = number + 1;
    } else {
      see_late(number);
    }
    ++seen_count_;
  }
  /// Of `sent_count` numbers, how many have not come.
  [[nodiscard]] std::uint64_t lost(std::uint64_t sent_count) const {
    return missing_count_ + (sent_count > next_ ? sent_count - next_ : 0);
  }
  [[nodiscard]] std::uint64_t duplicated() const { return duplicated_count_; }
  [[nodiscard]] std::uint64_t reordered() const { return reordered_count_; }
  /// One past the highest number seen.
  [[nodiscard]] std::uint64_t next() const { return next_; }
  [[nodiscard]] bool overflowed() const { return overflowed_; }

 private:
  void see_late(std::uint64_t number) {
    auto at = missing_.upper_bound(number);
    if (at == missing_.begin() || (--at)->second <= number) {
      ++duplicated_count_;
      return;
    }
    ++reordered_count_;
    --missing_count_;
    const auto [begin, end] = *at;
    missing_.erase(at);
    if (begin < number) missing_.emplace(begin, number);
    if (number + 1 < end) missing_.emplace(number + 1, end);
  }

  std::uint64_t next_ = 0;
  std::uint64_t seen_count_ = 0;
  std::uint64_t missing_count_ = 0;
  std::uint64_t duplicated_count_ = 0;
  std::uint64_t reordered_count_ = 0;
  bool overflowed_ = false;
  std::map<std::uint64_t, std::uint64_t> missing_;  ///< ranges: begin -> end
};

}  // namespace weir::perf
