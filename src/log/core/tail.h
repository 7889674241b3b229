// log/core/tail.h: the batches of a partition that are not only in objects, in offset order.
// Why:        one queue answers where a tail offset lies: in group memory, in the WAL, or both.
// Place:      one per partition, pure: it does no I/O and knows no clock.
// Contract:   [0, uploaded) are in objects already and kept only for their memory (consumers at the tail need no store);
//             [uploaded, confirmed) are confirmed and wait for upload; [confirmed, size) wait for the WAL.
// Invariants: records are contiguous; those without memory form a prefix of the queue up to `confirmed` (memory is dropped
//             oldest first); uploaded ones without memory are gone (asserted).
// Tests:      log/core/core_test.cc.
#pragma once

#include <cstdint>
#include <vector>

#include "bytes/buffer.h"
#include "log/core/ring.h"
#include "model/record_batch.h"
#include "model/records.h"
#include "wal/wal.h"

namespace weir::log {

struct TailRecord {
  model::Offset base{0};
  model::Offset end{0};
  std::uint64_t number = 0;  ///< within the shard; ascends along the tail
  wal::Place place;          ///< known once durable
  bytes::Buffer memory;      ///< empty when only the WAL has it
  std::uint32_t size_bytes = 0;
  base::WallMs max_timestamp = -1;
  base::WallMs running_max_timestamp = -1;  ///< over all records pushed up to this one
  model::ProducerId producer_id{-1};
  model::Sequence base_sequence{-1};
  model::Sequence last_sequence{-1};
  std::int32_t coordinator_epoch = -1;
  model::ProducerEpoch producer_epoch{-1};
  bool transactional = false;
  bool control = false;
  bool commit = false;
};

class Tail {
 public:
  [[nodiscard]] std::size_t size() const { return records_.size(); }
  [[nodiscard]] bool empty() const { return records_.empty(); }
  [[nodiscard]] std::size_t uploaded_count() const { return uploaded_count_; }
  [[nodiscard]] std::size_t confirmed_count() const { return confirmed_count_; }
  [[nodiscard]] TailRecord& operator[](std::size_t i) { return records_[i]; }
  [[nodiscard]] const TailRecord& operator[](std::size_t i) const { return records_[i]; }

  void push(TailRecord record);
  void confirm_next() {
    ENSURE(confirmed_count_ < records_.size(), "nothing waits to be confirmed");
    ++confirmed_count_;
  }
  /// Takes the newest record back: it must not be confirmed.
  TailRecord take_back() {
    ENSURE(records_.size() > confirmed_count_, "a confirmed record cannot be taken back");
    return records_.pop_back();
  }
  /// Index of the record that holds `offset`, or size().
  [[nodiscard]] std::size_t find(model::Offset offset) const;
  [[nodiscard]] std::size_t find_number(std::uint64_t number) const;
  /// Marks confirmed records below `end` as uploaded; `take(place)` gets the place of each, in order. Those without memory leave.
  template <class Take>
  void uploaded(model::Offset end, Take take) {
    std::size_t bare_count = 0;  // at the front; when an uploaded one is kept, there are none
    for (; uploaded_count_ < confirmed_count_; ++uploaded_count_) {
      const TailRecord& record = records_[uploaded_count_];
      if (record.end > end) break;
      if (record.memory.empty()) {
        ENSURE(bare_count == uploaded_count_, "a record without memory behind one with memory");
        ++bare_count;
      }
      take(record.place);
    }
    drop_front(bare_count);
  }
  /// Lets go of a confirmed record's memory; an uploaded one leaves with all before it.
  void drop_memory(std::size_t index);
  /// Removes confirmed records that end at or below `log_start`; gives the places of those that were not uploaded.
  std::vector<wal::Place> drop_below(model::Offset log_start);
  /// Index of the first confirmed record with a timestamp at or after, or confirmed_count().
  [[nodiscard]] std::size_t first_at_or_after(base::WallMs timestamp) const;

 private:
  void drop_front(std::size_t count);
  Ring<TailRecord> records_;
  std::size_t uploaded_count_ = 0;
  std::size_t confirmed_count_ = 0;
};

}  // namespace weir::log
