// cli/record_parse.cc: reading side of the format language.
#include <algorithm>
#include <charconv>

#include <fmt/core.h>

#include "cli/record_format.h"

namespace weir::cli {
namespace {

constexpr std::size_t number_digits_max = 20;

bool takes_bytes(Verb verb) { return verb == Verb::key || verb == Verb::value || verb == Verb::topic; }

std::optional<std::string> decoded(Form form, std::string text) {
  if (form == Form::hex) return from_hex(text);
  if (form == Form::base64 || form == Form::base64_raw) return from_base64(text);
  return text;
}

// Every bytes verb must know its end: by a size, by a literal behind it, or by the end of the input.
base::Result<void> check_readable(const RecordFormat& pieces, bool in_header) {
  bool key_size = false;
  bool value_size = false;
  bool header_count = false;
  bool reads = false;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const Piece& piece = pieces[i];
    if (piece.form == Form::unpack || piece.form == Form::strftime || piece.form == Form::iso)
      return base::fail(base::ErrorKind::invalid, "{unpack}, {strftime} and {iso} are for output only");
    key_size = key_size || piece.verb == Verb::key_size;
    value_size = value_size || piece.verb == Verb::value_size;
    header_count = header_count || piece.verb == Verb::header_count;
    reads = reads || piece.verb != Verb::literal;
    if (piece.verb == Verb::headers) {
      if (!header_count || piece.nested.empty())
        return base::fail(base::ErrorKind::invalid,
                          "%h{...} is read as often as %H before it says: write %H and what a header looks like");
      WEIR_TRY(check_readable(piece.nested, true));
    }
    if (!takes_bytes(piece.verb)) continue;
    const bool sized = (piece.verb == Verb::key && key_size) || (piece.verb == Verb::value && value_size);
    const bool last = i + 1 == pieces.size();
    if (!sized && (last ? in_header : pieces[i + 1].verb != Verb::literal)) {
      return base::fail(base::ErrorKind::invalid,
                        "nothing says where a key, value or topic ends: put a size (%K, %V) before it or text behind it");
    }
  }
  if (!reads) return base::fail(base::ErrorKind::invalid, "the format holds no record: %v is the value, %k the key");
  return {};
}

}  // namespace

base::Result<RecordParser> RecordParser::make(RecordFormat format, std::istream& in) {
  WEIR_TRY(check_readable(format, false));
  return RecordParser(std::move(format), in);
}

base::Result<std::optional<RecordIn>> RecordParser::next() {
  if (in_->peek() == std::istream::traits_type::eof()) return std::optional<RecordIn>();
  ++record_number_;
  RecordIn record;
  if (auto read = read_pieces(format_, record, false); !read)
    return base::with_context(fmt::format("record {} of the input", record_number_), read.error());
  return std::optional(std::move(record));
}

base::Result<void> RecordParser::read_pieces(const RecordFormat& pieces, RecordIn& record, bool in_header) {
  Sizes sizes;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const bool last = i + 1 == pieces.size();
    if (pieces[i].verb == Verb::literal) {
      WEIR_TRY(read_literal(pieces[i].text, last && !in_header));
    } else {
      WEIR_TRY(read_piece(pieces[i], last ? nullptr : &pieces[i + 1], sizes, record, in_header));
    }
  }
  return {};
}

base::Result<void> RecordParser::read_piece(const Piece& piece, const Piece* follower, Sizes& sizes, RecordIn& record,
                                            bool in_header) {
  if (takes_bytes(piece.verb)) {
    const auto size = piece.verb == Verb::key ? sizes.key : piece.verb == Verb::value ? sizes.value : std::nullopt;
    auto data = read_bytes(piece, follower, size);
    if (!data) return std::unexpected(data.error());
    if (piece.verb == Verb::topic) record.topic = data->value_or("");
    if (piece.verb == Verb::key) record.key = std::move(*data);
    if (piece.verb == Verb::value) record.value = std::move(*data);
    return {};
  }
  if (piece.verb == Verb::headers) {
    for (std::int64_t i = 0; i < sizes.headers.value_or(0); ++i) {
      RecordIn header;
      WEIR_TRY(read_pieces(piece.nested, header, true));
      record.headers.emplace_back(header.key.value_or(""), std::move(header.value));
    }
    return {};
  }
  (void)in_header;
  auto number = read_number(piece);
  if (!number) return std::unexpected(number.error());
  switch (piece.verb) {
    case Verb::key_size: sizes.key = *number; break;
    case Verb::value_size: sizes.value = *number; break;
    case Verb::header_count:
      if (*number < 0 || *number > record_bytes_max)
        return base::fail(base::ErrorKind::invalid, fmt::format("{} headers cannot be", *number));
      sizes.headers = *number;
      break;
    case Verb::partition: record.partition = static_cast<std::int32_t>(*number); break;
    case Verb::timestamp: record.timestamp_ms = piece.form == Form::seconds ? *number * 1000 : *number; break;
    default: break;  // an offset, an epoch or a record's number is read over: the broker gives them
  }
  return {};
}

base::Result<void> RecordParser::read_literal(const std::string& literal, bool last) {
  if (std::exchange(literal_is_read_, false)) return {};
  for (std::size_t i = 0; i < literal.size(); ++i) {
    const int c = in_->get();
    if (c == std::istream::traits_type::eof() && last && i == 0) return {};
    if (c != static_cast<std::uint8_t>(literal[i]))
      return base::fail(base::ErrorKind::invalid, fmt::format("the text '{}' of the format is not there", literal));
  }
  return {};
}

base::Result<std::int64_t> RecordParser::read_number(const Piece& piece) {
  if (piece.form == Form::big || piece.form == Form::little) {
    auto data = read_exactly(piece.width_bytes);
    if (!data) return std::unexpected(data.error());
    if (piece.form == Form::little) std::ranges::reverse(*data);
    std::uint64_t bits = 0;
    for (const char c : *data) bits = bits << 8U | static_cast<std::uint8_t>(c);
    const unsigned shift = static_cast<unsigned>(64 - 8 * piece.width_bytes);
    return static_cast<std::int64_t>(bits << shift) >> shift;  // signed: -1 is null
  }
  const bool hex = piece.form == Form::hex;
  std::string digits;
  const auto is_digit = [hex](int c) {
    return (c >= '0' && c <= '9') || (hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')));
  };
  while (digits.size() <= number_digits_max && (is_digit(in_->peek()) || (digits.empty() && in_->peek() == '-')))
    digits.push_back(static_cast<char>(in_->get()));
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, hex ? 16 : 10);
  if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size())
    return base::fail(base::ErrorKind::invalid, fmt::format("'{}' is not a number", digits));
  return value;
}

base::Result<std::optional<std::string>> RecordParser::read_bytes(const Piece& piece, const Piece* follower,
                                                                  std::optional<std::int64_t> size) {
  if (size && *size == -1) return std::optional<std::string>();
  auto data = size ? read_exactly(*size) : read_until(follower == nullptr ? "" : follower->text);
  if (!data) return std::unexpected(data.error());
  auto plain = decoded(piece.form, std::move(*data));
  if (!plain) return base::fail(base::ErrorKind::invalid, piece.form == Form::hex ? "not hexadecimal" : "not base64");
  return plain;
}

base::Result<std::string> RecordParser::read_exactly(std::int64_t size) {
  if (size < 0 || size > record_bytes_max)
    return base::fail(base::ErrorKind::invalid, fmt::format("a size of {} cannot be", size));
  std::string data;
  constexpr std::size_t step_bytes = 1U << 20U;  // a claimed size is believed only as far as bytes come
  while (data.size() < static_cast<std::size_t>(size)) {
    const std::size_t before = data.size();
    data.resize(std::min(static_cast<std::size_t>(size), before + step_bytes));
    in_->read(data.data() + before, static_cast<std::streamsize>(data.size() - before));
    if (static_cast<std::size_t>(in_->gcount()) < data.size() - before)
      return base::fail(base::ErrorKind::invalid, fmt::format("the input ends before {} bytes", size));
  }
  return data;
}

// Takes the literal along; without it the input must end there, and read_literal() judges that.
base::Result<std::string> RecordParser::read_until(const std::string& literal) {
  std::string data;
  for (int c = in_->get(); c != std::istream::traits_type::eof(); c = in_->get()) {
    data.push_back(static_cast<char>(c));
    if (!literal.empty() && data.ends_with(literal)) {
      data.resize(data.size() - literal.size());
      literal_is_read_ = true;
      return data;
    }
    if (data.size() > static_cast<std::size_t>(record_bytes_max))
      return base::fail(base::ErrorKind::invalid, fmt::format("'{}' does not come within {} bytes", literal, record_bytes_max));
  }
  return data;
}

}  // namespace weir::cli
