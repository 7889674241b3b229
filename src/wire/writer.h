// wire/writer.h: builds a message in Kafka's wire format as a list of buffers.
// Why:        a Fetch response is mostly batches that live in group buffers or in the block cache: they are put into the list by
//             reference, between the pieces that are written here.
// Place:      L3; the generated encoders are written on it; pure.
// Contract:   the first failure sticks and finish() reports it: a null or a length that the version cannot carry is the caller's
//             error, found here and not by the peer. Borrowed strings and bytes are copied at once, records buffers are shared.
// Invariants: pieces are cut only at insertion points, in ascending order.
// Limits:     frame_bytes_max (Kafka's length is a signed 32-bit number).
// Tests:      writer_test.cc, tests/compat/wire.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bytes/buffer.h"
#include "bytes/endian.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "wire/records.h"
#include "wire/unknown_tags.h"

namespace weir::wire {

inline constexpr std::size_t frame_bytes_max = 0x7FFFFFFF;
inline constexpr std::size_t frame_length_bytes = 4;

class Writer {
 public:
  explicit Writer(std::size_t expected_bytes = 512);

  template <std::integral T>
  void put(T value) {
    bytes::store_be(grow(sizeof(T)), value);
  }
  template <class Id>
    requires requires { typename Id::value_type; }
  void put(Id id) {
    put(id.value());
  }
  void put(model::ErrorCode code) { put(static_cast<std::int16_t>(code)); }
  void put_boolean(bool value) { put(static_cast<std::int8_t>(value ? 1 : 0)); }
  void put_float64(double value);
  void put(const model::Uuid& id);
  void put_varint(std::uint32_t value);

  // `flexible`: compact lengths. `field` names the field in the failure's text.
  void put_string(std::string_view text, bool flexible, const char* field);
  void put_nullable_string(const std::optional<std::string_view>& text, bool flexible, bool nullable, const char* field);
  void put_bytes(bytes::Bytes data, bool flexible, const char* field);
  void put_nullable_bytes(const std::optional<bytes::Bytes>& data, bool flexible, bool nullable, const char* field);
  void put_records(const Records& records, bool flexible, bool nullable, const char* field);
  void put_array_count(std::size_t count, bool flexible, const char* field);
  /// A null array; a failure unless `nullable`.
  void put_null_array(bool flexible, bool nullable, const char* field);
  /// The byte before a nullable struct.
  void put_struct_presence(bool present, bool nullable, const char* field);

  void put_tag_count(std::size_t known, const UnknownTags& unknown) {
    put_varint(static_cast<std::uint32_t>(known + unknown.size()));
  }
  /// Starts a tagged field: the value's size is put before it by end_tag(). Gives the mark for end_tag().
  [[nodiscard]] std::size_t begin_tag(std::uint32_t id);
  void end_tag(std::size_t mark);
  /// Writes unknown[index...] while their numbers are below id_limit: tags stand in ascending order.
  void put_unknown_tags(const UnknownTags& unknown, std::size_t& index, std::uint64_t id_limit);

  /// Leaves room for the frame's length, which finish() fills in. First call, if at all.
  void begin_frame();
  [[nodiscard]] std::size_t size() const { return size_bytes_ + borrowed_bytes_; }
  /// The message. The writer is spent.
  [[nodiscard]] base::Result<bytes::BufferList> finish();

 private:
  struct Insertion {
    std::size_t at_bytes;  ///< in the written bytes
    bytes::BufferList buffers;
  };
  /// Room for `count` more bytes, which the caller fills.
  std::byte* grow(std::size_t count) {
    if (size_bytes_ + count > capacity_bytes_) [[unlikely]]
      enlarge(count);
    std::byte* at = slab_data_ + size_bytes_;
    size_bytes_ += count;
    return at;
  }
  void enlarge(std::size_t count);
  void put_raw(bytes::Bytes data);
  /// The length of a bytes-like field or array.
  void put_length(std::size_t length, bool flexible, const char* field);
  void put_null(bool flexible, bool nullable, const char* field);
  void fail(const char* field, const char* reason);

  bytes::SlabRef slab_;
  std::byte* slab_data_ = nullptr;
  std::size_t capacity_bytes_ = 0;
  std::size_t size_bytes_ = 0;
  std::size_t borrowed_bytes_ = 0;
  std::vector<Insertion> insertions_;
  const char* failed_field_ = nullptr;
  const char* failed_reason_ = nullptr;
  bool framed_ = false;
};

/// One contiguous copy, for tests, small control messages and tools.
[[nodiscard]] std::vector<std::byte> flatten(const bytes::BufferList& list);

}  // namespace weir::wire
