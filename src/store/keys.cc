#include "store/keys.h"

#include <cstdint>

#include <fmt/format.h>

namespace weir::store {
namespace {

// The length of the UTF-8 sequence that begins with this byte, and the smallest code point it may encode; 0 = not a start.
struct Utf8Start {
  std::size_t length;
  std::uint32_t value;
  std::uint32_t smallest;
};

Utf8Start utf8_start(unsigned char byte) {
  if (byte < 0x80U) return {.length = 1, .value = byte, .smallest = 0};
  if ((byte & 0xe0U) == 0xc0U) return {.length = 2, .value = byte & 0x1fU, .smallest = 0x80};
  if ((byte & 0xf0U) == 0xe0U) return {.length = 3, .value = byte & 0x0fU, .smallest = 0x800};
  if ((byte & 0xf8U) == 0xf0U) return {.length = 4, .value = byte & 0x07U, .smallest = 0x10000};
  return {.length = 0, .value = 0, .smallest = 0};
}

}  // namespace

bool is_printable_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Start start = utf8_start(static_cast<unsigned char>(text[i]));
    if (start.length == 0 || start.length > text.size() - i) return false;
    std::uint32_t value = start.value;
    for (std::size_t k = 1; k < start.length; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      if ((byte & 0xc0U) != 0x80U) return false;
      value = (value << 6U) | (byte & 0x3fU);
    }
    const bool surrogate = value >= 0xd800 && value <= 0xdfff;
    const bool control = value < 0x20 || (value >= 0x7f && value < 0xa0);
    if (value < start.smallest || value > 0x10ffff || surrogate || control) return false;
    i += start.length;
  }
  return true;
}

base::Result<void> check_key(std::string_view key) {
  using base::ErrorKind;
  if (key.empty()) return base::fail(ErrorKind::invalid, "an object key is empty");
  if (key.size() > key_bytes_max) {
    return base::fail(ErrorKind::invalid,
                      fmt::format("an object key has {} bytes; at most {} are possible", key.size(), key_bytes_max));
  }
  if (!is_printable_utf8(key)) return base::fail(ErrorKind::invalid, "an object key is not printable UTF-8");
  std::size_t begin = 0;
  while (begin <= key.size()) {
    std::size_t end = key.find('/', begin);
    if (end == std::string_view::npos) end = key.size();
    const std::string_view part = key.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") {
      return base::fail(ErrorKind::invalid, fmt::format("object key '{}' has an empty, '.' or '..' part", key));
    }
    if (part.size() > key_part_bytes_max) {
      return base::fail(ErrorKind::invalid,
                        fmt::format("a part of object key '{}' is longer than {} bytes", key, key_part_bytes_max));
    }
    begin = end + 1;
  }
  return {};
}

}  // namespace weir::store
