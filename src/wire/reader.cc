// wire/reader.cc: the checked reads behind wire/reader.h.
#include "wire/reader.h"

#include <bit>

#include <fmt/format.h>

namespace weir::wire {

void Reader::fail(Fault fault, std::uint64_t claimed) {
  if (!ok()) return;
  fault_ = fault;
  claimed_ = claimed;
  fault_position_ = position();
  fault_left_ = left();
  at_ = end_;  // every later read is short, and keeps the first fault
}

base::Error Reader::error(std::string_view message, std::int16_t version) const {
  std::string what;
  switch (fault_) {
    case Fault::none: what = "no fault"; break;
    case Fault::short_read: what = fmt::format("{} bytes expected, {} left", claimed_, fault_left_); break;
    case Fault::long_varint: what = "a variable-length integer of more than 32 bits"; break;
    case Fault::bad_length:
      what = fmt::format("a length of {} with {} bytes left", static_cast<std::int64_t>(claimed_), fault_left_);
      break;
    case Fault::null_field: what = fmt::format("null in {}, which cannot be null", *field_ == '\0' ? "a field" : field_); break;
    case Fault::bad_count:
      what =
          fmt::format("an array of {} items cannot fit in the {} bytes left", static_cast<std::int64_t>(claimed_), fault_left_);
      break;
    case Fault::memory: what = fmt::format("an array needs {} bytes of memory, over the budget of this frame", claimed_); break;
    case Fault::bad_presence:
      what = fmt::format("{} where -1 (null) or 1 (present) is expected", static_cast<std::int64_t>(claimed_));
      break;
    case Fault::tag_size: what = fmt::format("a tagged field does not end at byte {} as its size says", claimed_); break;
  }
  return {base::ErrorKind::invalid, fmt::format("{} v{}, byte {}: {}", message, version, fault_position_, what)};
}

bool Reader::charge(std::uint64_t memory_bytes) {
  if (memory_bytes > memory_left_) {
    fail(Fault::memory, memory_bytes);
    return false;
  }
  memory_left_ -= memory_bytes;
  return true;
}

bytes::Bytes Reader::take(std::uint64_t count) {
  if (count > left()) [[unlikely]] {
    fail(Fault::bad_length, count);
    return {};
  }
  const bytes::Bytes part{at_, static_cast<std::size_t>(count)};
  at_ += count;
  return part;
}

double Reader::get_float64() { return std::bit_cast<double>(get<std::uint64_t>()); }

model::Uuid Reader::get_uuid() {
  model::Uuid id;
  if (left() < id.bytes.size()) [[unlikely]] {
    fail(Fault::short_read, id.bytes.size());
    return id;
  }
  std::memcpy(id.bytes.data(), at_, id.bytes.size());
  at_ += id.bytes.size();
  return id;
}

std::uint32_t Reader::get_long_varint() {
  std::uint32_t value = 0;
  for (unsigned shift = 0; shift <= 28; shift += 7) {
    const auto byte = get<std::uint8_t>();
    if (!ok()) return 0;
    if (shift == 28 && byte > 0x0FU) break;
    value |= static_cast<std::uint32_t>(byte & 0x7FU) << shift;
    if ((byte & 0x80U) == 0) return value;
  }
  fail(Fault::long_varint, 0);
  return 0;
}

std::int64_t Reader::get_string_length(bool flexible) {
  const std::int64_t length = flexible ? std::int64_t{get_varint()} - 1 : std::int64_t{get<std::int16_t>()};
  if (!ok()) return 0;
  if (length < -1 || length > string_bytes_max) {
    fail(Fault::bad_length, static_cast<std::uint64_t>(length));
    return 0;
  }
  return length;
}

std::int64_t Reader::get_bytes_length(bool flexible) {
  const std::int64_t length = flexible ? std::int64_t{get_varint()} - 1 : std::int64_t{get<std::int32_t>()};
  if (!ok()) return 0;
  if (length < -1) {
    fail(Fault::bad_length, static_cast<std::uint64_t>(length));
    return 0;
  }
  return length;
}

std::string_view Reader::get_string(bool flexible) {
  const std::int64_t length = get_string_length(flexible);
  if (length < 0) {
    fail(Fault::null_field, 0);
    return {};
  }
  return bytes::as_text(take(static_cast<std::uint64_t>(length)));
}

std::optional<std::string_view> Reader::get_nullable_string(bool flexible) {
  const std::int64_t length = get_string_length(flexible);
  if (length < 0) return std::nullopt;
  return bytes::as_text(take(static_cast<std::uint64_t>(length)));
}

bytes::Bytes Reader::get_bytes(bool flexible) {
  const std::int64_t length = get_bytes_length(flexible);
  if (length < 0) {
    fail(Fault::null_field, 0);
    return {};
  }
  return take(static_cast<std::uint64_t>(length));
}

std::optional<bytes::Bytes> Reader::get_nullable_bytes(bool flexible) {
  const std::int64_t length = get_bytes_length(flexible);
  if (length < 0) return std::nullopt;
  return take(static_cast<std::uint64_t>(length));
}

Records Reader::get_records(bool flexible, bool nullable) {
  const std::int64_t length = get_bytes_length(flexible);
  if (length >= 0) return Records(take(static_cast<std::uint64_t>(length)));
  if (!nullable) fail(Fault::null_field, 0);
  return {};
}

std::int64_t Reader::get_array_count(bool flexible, std::size_t item_wire_bytes_min, std::size_t item_memory_bytes) {
  const std::int64_t count = get_bytes_length(flexible);
  if (count <= 0) return count;
  if (static_cast<std::uint64_t>(count) > left() / item_wire_bytes_min) [[unlikely]] {
    fail(Fault::bad_count, static_cast<std::uint64_t>(count));
    return 0;
  }
  return charge(static_cast<std::uint64_t>(count) * item_memory_bytes) ? count : 0;
}

bool Reader::get_struct_presence() {
  const auto presence = get<std::int8_t>();
  if (ok() && presence != -1 && presence != 1) fail(Fault::bad_presence, static_cast<std::uint64_t>(std::int64_t{presence}));
  return ok() && presence == 1;
}

std::uint32_t Reader::get_tag_count() {
  const std::uint32_t count = get_varint();
  if (count > left() / 2) [[unlikely]] {  // a tag takes at least a byte for its number and one for its size
    fail(Fault::bad_count, count);
    return 0;
  }
  return count;
}

Reader::Tag Reader::get_tag() {
  Tag tag;
  tag.id = get_varint();
  const std::uint32_t size = get_varint();
  if (size > left()) fail(Fault::bad_length, size);
  tag.end = position() + (ok() ? size : 0);
  return tag;
}

void Reader::keep_unknown_tag(const Tag& tag, UnknownTags& into) {
  if (!ok() || !charge(sizeof(UnknownTag))) return;
  into.push_back({tag.id, take(tag.end - position())});
}

}  // namespace weir::wire
