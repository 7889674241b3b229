// wire/printer.cc: see wire/printer.h.
#include "wire/printer.h"

#include <fmt/format.h>

#include "wire/writer.h"

namespace weir::wire {

void Printer::key(std::string_view name) {
  item();
  text_ += '"';
  text_ += name;
  text_ += "\":";
  fresh_ = true;
}

void Printer::number(std::int64_t value) {
  item();
  fmt::format_to(std::back_inserter(text_), "{}", value);
}

void Printer::float64(double value) {
  item();
  const std::string digits = fmt::format("{}", value);
  text_ += digits;
  if (digits.find_first_not_of("-0123456789") == std::string::npos) text_ += ".0";  // so that a reader takes it for a fraction
}

void Printer::error_code(model::ErrorCode code) {
  if (mode_ == Mode::exact) return number(static_cast<std::int64_t>(code));
  string(model::to_string(code));
}

void Printer::uuid(const model::Uuid& id) { string(id.to_string()); }

void Printer::string(std::string_view text) {
  item();
  text_ += '"';
  std::size_t plain_from = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c >= 0x20U && c != '"' && c != '\\' && c != 0x7FU) continue;
    text_ += text.substr(plain_from, at - plain_from);
    plain_from = at + 1;
    if (c == '"' || c == '\\') {
      text_ += '\\';
      text_ += static_cast<char>(c);
    } else {
      fmt::format_to(std::back_inserter(text_), "\\u{:04x}", static_cast<unsigned>(c));
    }
  }
  text_ += text.substr(plain_from);
  text_ += '"';
}

void Printer::bytes(bytes::Bytes data) {
  if (mode_ == Mode::exact) return base64(data);
  string(fmt::format("{} bytes", data.size()));
}

void Printer::records(const Records& records) {
  if (records.is_null()) return null();
  if (mode_ != Mode::exact) return string(fmt::format("{} bytes", records.size()));
  if (records.buffers().empty()) return base64(records.view());
  base64(flatten(records.buffers()));
}

bool Printer::hides_secret() {
  if (mode_ == Mode::exact) return false;
  string("hidden");
  return true;
}

void Printer::base64(bytes::Bytes data) {
  static constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  item();
  text_ += '"';
  for (std::size_t at = 0; at < data.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(3, data.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) group = (group << 8U) | (i < count ? static_cast<std::uint32_t>(data[at + i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i) text_ += i <= count ? alphabet[(group >> (18 - 6 * i)) & 63U] : '=';
  }
  text_ += '"';
}

}  // namespace weir::wire
