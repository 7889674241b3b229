#include "log/core/transactions.h"

#include <algorithm>

#include "base/ensure.h"

namespace weir::log {
namespace {
auto first_span_at(const std::vector<object::AbortedSpan>& spans, model::Offset offset) {
  return std::lower_bound(spans.begin(), spans.end(), offset,
                          [](const object::AbortedSpan& span, model::Offset at) { return span.last < at; });
}
}  // namespace

void Transactions::begin(model::ProducerId producer, model::Offset first) {
  const bool fresh = open_.emplace(first, producer).second;
  ENSURE(fresh, "two transactions begin at offset {}", first.value());
}

void Transactions::end(model::ProducerId producer, model::Offset first, model::Offset marker, bool commit) {
  const auto found = open_.find(first);
  ENSURE(found != open_.end() && found->second == producer, "no transaction of producer {} is open from {}", producer.value(),
         first.value());
  open_.erase(found);
  ended_.push_back({.producer = producer, .first = first, .marker = marker});
  if (!commit) spans_.push_back({.producer_id = producer, .first = first, .last = marker});
}

void Transactions::confirmed_to(model::Offset high_watermark) {
  const auto keep = std::find_if(ended_.begin(), ended_.end(), [&](const Ended& e) { return e.marker >= high_watermark; });
  ended_.erase(ended_.begin(), keep);
}

void Transactions::take_back(model::Offset from) {
  while (!ended_.empty() && ended_.back().marker >= from) {
    if (ended_.back().first < from) open_.emplace(ended_.back().first, ended_.back().producer);
    ended_.pop_back();
  }
  open_.erase(open_.lower_bound(from), open_.end());
  while (!spans_.empty() && spans_.back().last >= from) spans_.pop_back();
}

model::Offset Transactions::first_unstable() const {
  model::Offset first(-1);
  const auto lower = [&](model::Offset offset) {
    if (first.value() < 0 || offset < first) first = offset;
  };
  if (!open_.empty()) lower(open_.begin()->first);
  for (const Ended& e : ended_) lower(e.first);
  return first;
}

void Transactions::drop_spans_below(model::Offset log_start) { spans_.erase(spans_.begin(), first_span_at(spans_, log_start)); }

std::vector<object::AbortedSpan> Transactions::spans_touching(model::Offset from, model::Offset to) const {
  std::vector<object::AbortedSpan> out;
  for (auto at = first_span_at(spans_, from); at != spans_.end(); ++at) {
    if (at->first < to) out.push_back(*at);
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return out;
}

std::vector<object::AbortedSpan> Transactions::spans_closed_within(model::Offset from, model::Offset to) const {
  std::vector<object::AbortedSpan> out;
  for (auto at = first_span_at(spans_, from); at != spans_.end() && at->last < to; ++at) out.push_back(*at);
  return out;
}

}  // namespace weir::log
