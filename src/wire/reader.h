// wire/reader.h: reads Kafka's wire format out of a received frame, without copying and without trusting it.
// Why:        a count or length in a frame is a claim by a stranger: it is compared with the bytes that are really there, and
//             its cost in memory with a budget, before anything is allocated (CVE-2022-34917 is what happens otherwise).
// Place:      L3; the generated decoders are written on it; pure.
// Contract:   the first failure sticks: every later read gives zero, empty or null, and ok() is false. So a decoder reads field
//             after field and checks once per array item and once at its end. Views point into the frame, which must outlive
//             them.
// Invariants: position() never exceeds the frame's size; memory charged never exceeds the budget.
// Limits:     decode_memory_bytes_min, decode_memory_per_frame_byte. Nesting is bounded by the schemas, which cannot recurse.
// Tests:      reader_test.cc, wire_fuzz.cc, tests/compat/wire.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "bytes/buffer.h"
#include "bytes/endian.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "wire/records.h"
#include "wire/unknown_tags.h"

namespace weir::wire {

/// What the arrays decoded from one frame may take: an item of two bytes on the wire can be a struct of a hundred in memory, so
/// the frame's own limit does not bound it. The largest honest ratio is a Metadata response's, about 4 bytes per byte.
inline constexpr std::size_t decode_memory_bytes_min = std::size_t{16} << 20U;
inline constexpr std::size_t decode_memory_per_frame_byte = 4;

/// Kafka's own limit, also where a compact length could say more.
inline constexpr std::int64_t string_bytes_max = 0x7FFF;

class Reader {
 public:
  explicit Reader(bytes::Bytes frame)
      : begin_(frame.data()),
        at_(frame.data()),
        end_(frame.data() + frame.size()),
        memory_left_(decode_memory_bytes_min + frame.size() * decode_memory_per_frame_byte) {}

  [[nodiscard]] bool ok() const { return fault_ == Fault::none; }
  [[nodiscard]] std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  [[nodiscard]] std::size_t position() const { return static_cast<std::size_t>(at_ - begin_); }
  /// What went wrong, where, with the numbers; only when !ok(). `message` names what was being decoded.
  [[nodiscard]] base::Error error(std::string_view message, std::int16_t version) const;

  template <std::integral T>
  T get() {
    if (left() < sizeof(T)) [[unlikely]] {
      fail(Fault::short_read, sizeof(T));
      return T{};
    }
    T value = bytes::load_be<T>(at_);
    at_ += sizeof(T);
    return value;
  }
  /// A strong id: its integer.
  template <class Id>
    requires requires { typename Id::value_type; }
  Id get() {
    return Id(get<typename Id::value_type>());
  }
  bool get_boolean() { return get<std::int8_t>() != 0; }
  double get_float64();
  model::ErrorCode get_error_code() { return static_cast<model::ErrorCode>(get<std::int16_t>()); }
  model::Uuid get_uuid();
  model::TopicId get_topic_id() { return model::TopicId{get_uuid()}; }
  /// Unsigned LEB128, at most 5 bytes and 32 bits.
  std::uint32_t get_varint() {
    if (left() > 0 && (static_cast<std::uint8_t>(*at_) & 0x80U) == 0) [[likely]]
      return static_cast<std::uint8_t>(*at_++);
    return get_long_varint();
  }

  // `flexible`: the message's version uses compact lengths (varint of length + 1; 0 = null).
  std::string_view get_string(bool flexible);
  std::optional<std::string_view> get_nullable_string(bool flexible);
  bytes::Bytes get_bytes(bool flexible);
  std::optional<bytes::Bytes> get_nullable_bytes(bool flexible);
  /// Null is a failure unless `nullable`.
  Records get_records(bool flexible, bool nullable);
  /// The number of items that follow, -1 for null. Fails (and gives 0) unless the rest of the frame can hold that many items of
  /// item_wire_bytes_min and the budget that many of item_memory_bytes.
  std::int64_t get_array_count(bool flexible, std::size_t item_wire_bytes_min, std::size_t item_memory_bytes);
  /// True when a nullable struct follows.
  bool get_struct_presence();
  /// A null where the version does not allow it.
  void fail_null(const char* field) {
    field_ = field;
    fail(Fault::null_field, 0);
  }

  struct Tag {
    std::uint32_t id = 0;
    std::size_t end = 0;  ///< position() behind the tag's value
  };
  std::uint32_t get_tag_count();
  /// The tag's number and the extent of its value.
  Tag get_tag();
  /// Fails unless exactly the tag's bytes were read.
  void end_tag(const Tag& tag) {
    if (ok() && position() != tag.end) [[unlikely]]
      fail(Fault::tag_size, tag.end);
  }
  /// Keeps the value of a tag that the schema does not know.
  void keep_unknown_tag(const Tag& tag, UnknownTags& into);

 private:
  enum class Fault : std::uint8_t {
    none,
    short_read,
    long_varint,
    bad_length,
    null_field,
    bad_count,
    memory,
    bad_presence,
    tag_size
  };
  void fail(Fault fault, std::uint64_t claimed);
  std::uint32_t get_long_varint();
  bytes::Bytes take(std::uint64_t count);
  /// The length of a string, bytes or records field; -1 for null.
  std::int64_t get_string_length(bool flexible);
  std::int64_t get_bytes_length(bool flexible);
  bool charge(std::uint64_t memory_bytes);

  const std::byte* begin_;
  const std::byte* at_;
  const std::byte* end_;
  std::uint64_t memory_left_;
  std::uint64_t claimed_ = 0;
  std::size_t fault_position_ = 0;
  std::size_t fault_left_ = 0;
  const char* field_ = "";
  Fault fault_ = Fault::none;
};

}  // namespace weir::wire
