// log/core/transactions.h: open and ended transactions of a partition: its last stable offset and its aborted spans.
// Why:        read_committed consumers see nothing at or above the first offset of a transaction that is open, or whose
//             marker is not confirmed yet.
// Contract:   pure. begin/end in log order, also for what is not confirmed; confirmed_to() as the high watermark moves;
//             take_back(h) forgets everything at or above h (a void). Spans stay until drop_below().
// Invariants: spans are in order of their last offset (the marker).
// Tests:      log/core/core_test.cc.
#pragma once

#include <map>
#include <vector>

#include "model/ids.h"
#include "object/format.h"

namespace weir::log {

class Transactions {
 public:
  void begin(model::ProducerId producer, model::Offset first);
  void end(model::ProducerId producer, model::Offset first, model::Offset marker, bool commit);
  void confirmed_to(model::Offset high_watermark);
  void take_back(model::Offset from);
  /// First offset that is not decided for readers: of an open transaction, or of one whose marker is not confirmed; -1: none.
  [[nodiscard]] model::Offset first_unstable() const;
  /// An aborted span found in an object's footer, in upload order.
  void restore_span(const object::AbortedSpan& span) { spans_.push_back(span); }
  void drop_spans_below(model::Offset log_start);
  /// Spans that touch [from, to), by first offset.
  [[nodiscard]] std::vector<object::AbortedSpan> spans_touching(model::Offset from, model::Offset to) const;
  /// Spans whose marker lies within [from, to), in order.
  [[nodiscard]] std::vector<object::AbortedSpan> spans_closed_within(model::Offset from, model::Offset to) const;
  [[nodiscard]] bool empty() const { return open_.empty() && ended_.empty() && spans_.empty(); }

 private:
  struct Ended {
    model::ProducerId producer;
    model::Offset first;
    model::Offset marker;
  };
  std::map<model::Offset, model::ProducerId> open_;  ///< by first offset
  std::vector<Ended> ended_;                         ///< marker not confirmed yet; in order of the marker
  std::vector<object::AbortedSpan> spans_;
};

}  // namespace weir::log
