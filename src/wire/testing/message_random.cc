// wire/testing/message_random.cc: see message_random.h.
#include "wire/testing/message_random.h"

#include "wire/reader.h"

namespace weir::wire::testing {

std::uint64_t MessageRandom::next() {  // splitmix64
  state_ += 0x9E3779B97F4A7C15ULL;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31U);
}

bool MessageRandom::keeps_default(bool container) {
  if (shape_ == Shape::defaults) return !container || below(4) == 0;
  return shape_ == Shape::mixed && below(5) == 0;
}

bool MessageRandom::chooses_null(bool container) {
  if (shape_ == Shape::nulls) return !container || below(2) == 0;
  return shape_ == Shape::mixed && below(5) == 0;
}

MessageRandom::Scope::Scope(MessageRandom& random, bool container) : random_(random), saved_(random.shape_) {
  const unsigned depth = random_.depth_++;
  switch (saved_) {
    case Shape::empties: count_ = container && random.below(2) == 0 ? 1 : 0; break;
    case Shape::maxima:
      count_ = !container || depth == random_.long_depth_ ? long_length : 1;
      if (count_ == long_length) random.shape_ = Shape::empties;
      break;
    case Shape::mixed: count_ = random.below(4); break;
    case Shape::defaults:
    case Shape::nulls:
    case Shape::minima: count_ = 1; break;
  }
}

bool MessageRandom::boolean() { return shape_ == Shape::maxima || (shape_ != Shape::minima && below(2) == 0); }

double MessageRandom::float64() {
  if (shape_ == Shape::maxima) return maximum_float64;
  if (shape_ == Shape::minima) return -maximum_float64;
  return static_cast<double>(static_cast<std::int64_t>(next())) / 1024.0;
}

model::Uuid MessageRandom::uuid() {
  if (shape_ == Shape::maxima) return maximum_uuid();
  model::Uuid id;
  for (auto& byte : id.bytes) byte = static_cast<std::uint8_t>(next());
  return id;
}

std::size_t MessageRandom::length() {
  switch (shape_) {
    case Shape::empties: return 0;
    case Shape::maxima: return long_length + below(300);
    default: return below(12);
  }
}

std::string_view MessageRandom::string() {
  static constexpr std::string_view pieces[] = {
      "a", "Z", "-", ".", "_", "7", "\"", "\\", "\n", "/", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x8C\x8A", " ", "\x7F"};
  if (shape_ == Shape::maxima && long_depth_ == array_depth_max)
    return keep(std::string(static_cast<std::size_t>(string_bytes_max), 'm'));
  std::string text;
  for (std::size_t left = length(); left > 0; --left) text += pieces[below(std::size(pieces))];
  return keep(std::move(text));
}

bytes::Bytes MessageRandom::bytes() {
  std::string data(length(), '\0');
  for (char& byte : data) byte = static_cast<char>(next());
  return bytes::as_bytes(keep(std::move(data)));
}

Records MessageRandom::records() {
  const bytes::Bytes data = bytes();
  if (data.size() < 2 || below(2) == 0) return Records(data);
  const std::size_t cut = 1 + below(data.size() - 1);
  return Records(bytes::BufferList{bytes::Buffer::copy_of(data.first(cut)), bytes::Buffer::copy_of(data.subspan(cut))});
}

void MessageRandom::unknown_tags(UnknownTags& into, std::uint32_t first_free) {
  if (!with_unknown_tags_) return;
  std::uint32_t id = first_free;
  for (std::uint64_t left = below(3); left > 0; --left) {
    id += 1 + static_cast<std::uint32_t>(below(40000));
    into.push_back({id, bytes()});
  }
}

}  // namespace weir::wire::testing
