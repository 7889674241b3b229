#include "log/core/tail.h"

#include <algorithm>

namespace weir::log {

void Tail::push(TailRecord record) {
  ENSURE(records_.empty() || records_.back().end == record.base, "a record at {} behind one that ends at {}",
         record.base.value(), records_.back().end.value());
  ENSURE(records_.empty() || records_.back().number < record.number, "record numbers do not ascend");
  ENSURE(record.base < record.end, "an empty record at {}", record.base.value());
  record.running_max_timestamp =
      records_.empty() ? record.max_timestamp : std::max(record.max_timestamp, records_.back().running_max_timestamp);
  records_.push_back(std::move(record));
}

std::size_t Tail::find(model::Offset offset) const {
  const std::size_t at = first_index(size(), [&](std::size_t i) { return records_[i].end > offset; });
  return at < size() && records_[at].base <= offset ? at : size();
}

std::size_t Tail::find_number(std::uint64_t number) const {
  const std::size_t at = first_index(size(), [&](std::size_t i) { return records_[i].number >= number; });
  return at < size() && records_[at].number == number ? at : size();
}

void Tail::drop_front(std::size_t count) {
  ENSURE(count <= confirmed_count_, "an unconfirmed record left the front");
  records_.drop_front(count);
  confirmed_count_ -= count;
  uploaded_count_ -= std::min(uploaded_count_, count);
}

void Tail::drop_memory(std::size_t index) {
  ENSURE(index < confirmed_count_, "the memory of an unconfirmed record is its only home");
  records_[index].memory = {};
  if (index < uploaded_count_) drop_front(index + 1);
}

std::vector<wal::Place> Tail::drop_below(model::Offset log_start) {
  std::vector<wal::Place> places;
  std::size_t count = 0;
  for (; count < confirmed_count_ && records_[count].end <= log_start; ++count) {
    if (count >= uploaded_count_) places.push_back(records_[count].place);
  }
  drop_front(count);
  return places;
}

std::size_t Tail::first_at_or_after(base::WallMs timestamp) const {
  // The running maximum may come from a record that has left: then the search starts too early, never too late.
  std::size_t at = first_index(confirmed_count_, [&](std::size_t i) { return records_[i].running_max_timestamp >= timestamp; });
  while (at < confirmed_count_ && records_[at].max_timestamp < timestamp) ++at;
  return at;
}

}  // namespace weir::log
