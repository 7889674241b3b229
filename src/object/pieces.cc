#include "object/pieces.h"

#include "base/ensure.h"

namespace weir::object::pieces {

void put_uuid(bytes::Packer& out, const model::Uuid& id) { out.put_bytes(std::as_bytes(std::span(id.bytes))); }

void put_count(bytes::Packer& out, std::size_t count) {
  ENSURE(count <= UINT32_MAX, "a list of {} items", count);
  out.put(static_cast<std::uint32_t>(count));
}

void put_aborted(bytes::Packer& out, const std::vector<AbortedSpan>& spans) {
  for (const AbortedSpan& span : spans) {
    out.put(span.producer_id.value());
    out.put(span.first.value());
    out.put(span.last.value());
  }
}

bool get_aborted(bytes::Unpacker& in, std::uint32_t count, std::vector<AbortedSpan>& into) {
  if (!in.can_hold(count, aborted_bytes)) return false;
  into.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    AbortedSpan span;
    span.producer_id = model::ProducerId(in.get<std::int64_t>());
    span.first = model::Offset(in.get<std::int64_t>());
    span.last = model::Offset(in.get<std::int64_t>());
    if (span.first > span.last) return false;
    into.push_back(span);
  }
  return true;
}

void put_batches(bytes::Packer& out, const std::vector<ProducerBatch>& batches) {
  ENSURE(batches.size() <= producer_batches_max, "a producer with {} batches", batches.size());
  put_count(out, batches.size());
  for (const ProducerBatch& batch : batches) {
    out.put(batch.base_sequence.value());
    out.put(batch.last_sequence.value());
    out.put(batch.base_offset.value());
    out.put(batch.last_offset.value());
    out.put(batch.max_timestamp);
  }
}

bool get_batches(bytes::Unpacker& in, std::vector<ProducerBatch>& into) {
  const auto count = in.get<std::uint32_t>();
  if (count > producer_batches_max || !in.can_hold(count, producer_batch_bytes)) return false;
  into.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    ProducerBatch batch;
    batch.base_sequence = model::Sequence(in.get<std::int32_t>());
    batch.last_sequence = model::Sequence(in.get<std::int32_t>());
    batch.base_offset = model::Offset(in.get<std::int64_t>());
    batch.last_offset = model::Offset(in.get<std::int64_t>());
    batch.max_timestamp = in.get<std::int64_t>();
    if (batch.base_offset > batch.last_offset) return false;
    if (i > 0 && batch.base_offset <= into.back().last_offset) return false;
    into.push_back(batch);
  }
  return true;
}

}  // namespace weir::object::pieces
