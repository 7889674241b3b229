// wire/writer.cc: see wire/writer.h.
#include "wire/writer.h"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "wire/reader.h"

namespace weir::wire {

namespace {
constexpr std::size_t varint_bytes_max = 5;

std::size_t store_varint(std::byte* to, std::uint32_t value) {
  std::size_t count = 0;
  while (value >= 0x80U) {
    to[count++] = static_cast<std::byte>(value | 0x80U);
    value >>= 7U;
  }
  to[count++] = static_cast<std::byte>(value);
  return count;
}
}  // namespace

Writer::Writer(std::size_t expected_bytes) { enlarge(std::max<std::size_t>(expected_bytes, 64)); }

void Writer::enlarge(std::size_t count) {
  const std::size_t capacity = std::max(capacity_bytes_ * 2, size_bytes_ + count);
  bytes::SlabRef larger = bytes::SlabRef::allocate(capacity);
  if (size_bytes_ > 0) std::memcpy(larger.writable().data(), slab_data_, size_bytes_);
  slab_ = std::move(larger);
  slab_data_ = slab_.writable().data();
  capacity_bytes_ = slab_.size();
}

void Writer::fail(const char* field, const char* reason) {
  if (failed_field_ != nullptr) return;
  failed_field_ = field;
  failed_reason_ = reason;
}

void Writer::put_raw(bytes::Bytes data) {
  if (!data.empty()) std::memcpy(grow(data.size()), data.data(), data.size());
}

void Writer::put_float64(double value) { put(std::bit_cast<std::uint64_t>(value)); }

void Writer::put(const model::Uuid& id) { put_raw(std::as_bytes(std::span(id.bytes))); }

void Writer::put_varint(std::uint32_t value) {
  std::byte encoded[varint_bytes_max];
  const std::size_t count = store_varint(encoded, value);
  std::memcpy(grow(count), encoded, count);
}

void Writer::put_string(std::string_view text, bool flexible, const char* field) {
  if (text.size() > static_cast<std::size_t>(string_bytes_max)) {
    fail(field, "is longer than 32767 bytes");
    return;
  }
  if (flexible) put_varint(static_cast<std::uint32_t>(text.size()) + 1);
  else put(static_cast<std::int16_t>(text.size()));
  put_raw(bytes::as_bytes(text));
}

void Writer::put_nullable_string(const std::optional<std::string_view>& text, bool flexible, bool nullable, const char* field) {
  if (text) return put_string(*text, flexible, field);
  if (!nullable) return fail(field, "is null, which this version cannot carry");
  if (flexible) put_varint(0);
  else put(std::int16_t{-1});
}

void Writer::put_length(std::size_t length, bool flexible, const char* field) {
  if (length >= frame_bytes_max) return fail(field, "is longer than a frame can be");
  if (flexible) put_varint(static_cast<std::uint32_t>(length) + 1);
  else put(static_cast<std::int32_t>(length));
}

void Writer::put_null(bool flexible, bool nullable, const char* field) {
  if (!nullable) return fail(field, "is null, which this version cannot carry");
  if (flexible) put_varint(0);
  else put(std::int32_t{-1});
}

void Writer::put_bytes(bytes::Bytes data, bool flexible, const char* field) {
  put_length(data.size(), flexible, field);
  put_raw(data);
}

void Writer::put_nullable_bytes(const std::optional<bytes::Bytes>& data, bool flexible, bool nullable, const char* field) {
  if (data) put_bytes(*data, flexible, field);
  else put_null(flexible, nullable, field);
}

void Writer::put_records(const Records& records, bool flexible, bool nullable, const char* field) {
  if (records.is_null()) return put_null(flexible, nullable, field);
  put_length(records.size(), flexible, field);
  if (records.buffers().empty()) return put_raw(records.view());
  borrowed_bytes_ += records.size();
  insertions_.push_back({size_bytes_, records.buffers()});
}

void Writer::put_array_count(std::size_t count, bool flexible, const char* field) { put_length(count, flexible, field); }

void Writer::put_null_array(bool flexible, bool nullable, const char* field) { put_null(flexible, nullable, field); }

void Writer::put_struct_presence(bool present, bool nullable, const char* field) {
  if (!present && !nullable) return fail(field, "is null, which this version cannot carry");
  put(static_cast<std::int8_t>(present ? 1 : -1));
}

std::size_t Writer::begin_tag(std::uint32_t id) {
  put_varint(id);
  return size_bytes_;
}

void Writer::end_tag(std::size_t mark) {
  ENSURE(insertions_.empty() || insertions_.back().at_bytes <= mark, "record buffers inside a tagged field would move");
  const std::size_t value_bytes = size_bytes_ - mark;
  std::byte encoded[varint_bytes_max];
  const std::size_t count = store_varint(encoded, static_cast<std::uint32_t>(value_bytes));
  grow(count);
  std::memmove(slab_data_ + mark + count, slab_data_ + mark, value_bytes);
  std::memcpy(slab_data_ + mark, encoded, count);
}

void Writer::put_unknown_tags(const UnknownTags& unknown, std::size_t& index, std::uint64_t id_limit) {
  for (; index < unknown.size() && unknown[index].id < id_limit; ++index) {
    put_varint(unknown[index].id);
    put_varint(static_cast<std::uint32_t>(unknown[index].value.size()));
    put_raw(unknown[index].value);
  }
}

void Writer::begin_frame() {
  ENSURE(size_bytes_ == 0, "begin_frame() after {} bytes", size_bytes_);
  framed_ = true;
  put(std::int32_t{0});
}

base::Result<bytes::BufferList> Writer::finish() {
  if (failed_field_ != nullptr)
    return base::fail(base::ErrorKind::invalid, fmt::format("{} {}", failed_field_, failed_reason_));
  if (size() > frame_bytes_max)
    return base::fail(base::ErrorKind::exhausted, fmt::format("a message of {} bytes cannot be framed", size()));
  if (framed_) bytes::store_be(slab_data_, static_cast<std::int32_t>(size() - frame_length_bytes));
  bytes::BufferList list;
  list.reserve(insertions_.size() * 2 + 1);
  std::size_t from = 0;
  for (Insertion& insertion : insertions_) {
    ENSURE(insertion.at_bytes >= from, "insertion at {} before {}", insertion.at_bytes, from);
    if (insertion.at_bytes > from) list.emplace_back(slab_, from, insertion.at_bytes - from);
    for (bytes::Buffer& buffer : insertion.buffers) list.push_back(std::move(buffer));
    from = insertion.at_bytes;
  }
  if (size_bytes_ > from || list.empty()) list.emplace_back(slab_, from, size_bytes_ - from);
  return list;
}

std::vector<std::byte> flatten(const bytes::BufferList& list) {
  std::vector<std::byte> all;
  all.reserve(bytes::total_size(list));
  for (const bytes::Buffer& buffer : list) all.insert(all.end(), buffer.view().begin(), buffer.view().end());
  return all;
}

}  // namespace weir::wire
