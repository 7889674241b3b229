// bytes/pack.h: writing and reading weir's own little-endian formats (WAL, objects, keyspace values).
// Contract:   Packer appends; Unpacker never reads outside its range: a short read sets failed() and gives zeros, so a parser
//             checks failed() once at its end, and counts are checked with can_hold() before anything is allocated.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bytes/buffer.h"
#include "bytes/endian.h"

namespace weir::bytes {

class Packer {
 public:
  template <std::integral T>
  void put(T value) {
    const std::size_t at = out_.size();
    out_.resize(at + sizeof(T));
    store_le(out_.data() + at, value);
  }
  void put_bytes(Bytes data) { out_.insert(out_.end(), data.begin(), data.end()); }
  /// u32 length, then the bytes.
  void put_string(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    put_bytes(as_bytes(text));
  }
  void pad_to(std::size_t multiple_bytes) {
    while (out_.size() % multiple_bytes != 0) out_.push_back(std::byte{0});
  }
  [[nodiscard]] std::size_t size() const { return out_.size(); }
  [[nodiscard]] std::vector<std::byte>& data() { return out_; }
  [[nodiscard]] Bytes view() const { return out_; }
  [[nodiscard]] std::string str() const { return std::string(as_text(out_)); }

 private:
  std::vector<std::byte> out_;
};

class Unpacker {
 public:
  explicit Unpacker(Bytes data) : data_(data) {}
  explicit Unpacker(std::string_view data) : data_(as_bytes(data)) {}
  template <std::integral T>
  T get() {
    if (left() < sizeof(T)) return fail_with<T>();
    T value = load_le<T>(data_.data() + at_);
    at_ += sizeof(T);
    return value;
  }
  Bytes get_bytes(std::size_t count) {
    if (left() < count) {
      failed_ = true;
      at_ = data_.size();
      return {};
    }
    Bytes part = data_.subspan(at_, count);
    at_ += count;
    return part;
  }
  std::string get_string() {
    const auto length = get<std::uint32_t>();
    return std::string(as_text(get_bytes(length)));
  }
  /// True when `count` items of at least item_bytes_min each can still follow; otherwise sets failed().
  bool can_hold(std::uint64_t count, std::size_t item_bytes_min) {
    if (item_bytes_min == 0 || count <= left() / item_bytes_min) return true;
    failed_ = true;
    return false;
  }
  [[nodiscard]] std::size_t left() const { return data_.size() - at_; }
  [[nodiscard]] std::size_t position() const { return at_; }
  [[nodiscard]] bool failed() const { return failed_; }
  /// All bytes read and none missing.
  [[nodiscard]] bool done() const { return !failed_ && left() == 0; }

 private:
  template <class T>
  T fail_with() {
    failed_ = true;
    at_ = data_.size();
    return T{};
  }
  Bytes data_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

}  // namespace weir::bytes
