#include "model/ids.h"

namespace weir::model {
namespace {
constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t text_length = 22;
}  // namespace

std::string Uuid::to_string() const {
  std::string text;
  text.reserve(text_length);
  std::uint32_t bits = 0;
  unsigned bit_count = 0;
  for (std::uint8_t byte : bytes) {
    bits = (bits << 8U) | byte;
    bit_count += 8;
    while (bit_count >= 6) {
      bit_count -= 6;
      text.push_back(alphabet[(bits >> bit_count) & 63U]);
    }
  }
  text.push_back(alphabet[(bits << (6 - bit_count)) & 63U]);
  return text;
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() != text_length) return std::nullopt;
  Uuid id;
  std::uint32_t bits = 0;
  unsigned bit_count = 0;
  std::size_t at = 0;
  for (char c : text) {
    const std::size_t value = alphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6U) | static_cast<std::uint32_t>(value);
    bit_count += 6;
    if (bit_count >= 8) {
      bit_count -= 8;
      if (at < id.bytes.size()) id.bytes[at++] = static_cast<std::uint8_t>(bits >> bit_count);
    }
  }
  if ((bits & ((1U << bit_count) - 1U)) != 0) return std::nullopt;  // non-canonical trailing bits
  return id;
}

Uuid Uuid::from_random(std::uint64_t high, std::uint64_t low) {
  Uuid id;
  std::memcpy(id.bytes.data(), &high, sizeof high);
  std::memcpy(id.bytes.data() + sizeof high, &low, sizeof low);
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0FU) | 0x40U);
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3FU) | 0x80U);
  // A text form that begins with '-' reads as an option on a command line; Kafka avoids it too.
  if ((id.bytes[0] >> 2U) == 62U) id.bytes[0] = static_cast<std::uint8_t>(id.bytes[0] ^ 0x80U);
  return id;
}

}  // namespace weir::model
