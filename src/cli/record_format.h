// cli/record_format.h: the format language of `weir consume -f` and `weir produce -f`: one string both writes and reads records.
// Why:        records go through pipes to and from other programs, in text or in binary, without a program in between.
// Contract:   %t topic, %p partition, %o offset, %d time (%T is kcat's name for it), %i number of the record, %k key, %v value (%s), %K %V their sizes (%S; -1: null), %H number of headers, %h{...} for each header with %k %v %K
//             %V inside, %h alone: NAME=VALUE,... ; %% %{ %} and \n \t \r \0 \\ \xNN.
//             Bytes take {hex}, {base64}, {base64raw} or {unpack[...]}; numbers {ascii}, {hex}, {big64} ... {little8}; a time takes
//             {ms}, {s}, {iso} or {strftime[...]} (UTC). unpack: < > byte order, b B h H i I q Q numbers, c a byte, s the rest as
//             text, x skip, $ nothing may follow; values are split by spaces. Forms in {} behind a bytes verb that the input cannot
//             have (unpack, strftime) are refused for reading.
//             Reading: a size read by %K or %V makes the %k or %v behind it read so many bytes; otherwise it reads up to the literal
//             that follows. The end of the input may stand for the last literal.
// Limits:     record_bytes_max, for a size that the input claims and for what has no end in sight.
// Tests:      cli/record_format_test.cc
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace weir::cli {

inline constexpr std::int64_t record_bytes_max = std::int64_t{1} << 30;

enum class Verb : std::uint8_t {
  literal,
  topic,
  partition,
  offset,
  timestamp,
  number,
  key,
  value,
  key_size,
  value_size,
  header_count,
  headers
};
enum class Form : std::uint8_t { plain, hex, base64, base64_raw, unpack, big, little, seconds, iso, strftime };

struct Piece {
  Verb verb = Verb::literal;
  Form form = Form::plain;
  int width_bytes = 0;        ///< of Form::big and Form::little
  std::string text;           ///< the literal, or what stands in unpack[...] or strftime[...]
  std::vector<Piece> nested;  ///< of %h{...}
};
using RecordFormat = std::vector<Piece>;

[[nodiscard]] base::Result<RecordFormat> parse_record_format(std::string_view text);

using HeaderViews = std::vector<std::pair<std::string_view, std::optional<std::string_view>>>;
struct RecordOut {
  std::string_view topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::int64_t timestamp_ms = -1;
  std::int64_t number = 0;
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  HeaderViews headers;
};
void write_record(const RecordFormat& format, const RecordOut& record, std::string& out);

struct RecordIn {
  std::optional<std::string> topic;
  std::optional<std::int32_t> partition;
  std::optional<std::int64_t> timestamp_ms;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
};

class RecordParser {
 public:
  /// invalid: a format that cannot be read, such as %k%v without sizes.
  [[nodiscard]] static base::Result<RecordParser> make(RecordFormat format, std::istream& in);
  /// The next record; nothing at the end of the input. invalid: the input does not have the format.
  [[nodiscard]] base::Result<std::optional<RecordIn>> next();

 private:
  RecordParser(RecordFormat format, std::istream& in) : format_(std::move(format)), in_(&in) {}
  struct Sizes {
    std::optional<std::int64_t> key, value, headers;
  };
  base::Result<void> read_pieces(const RecordFormat& pieces, RecordIn& record, bool in_header);
  base::Result<void> read_piece(const Piece& piece, const Piece* follower, Sizes& sizes, RecordIn& record, bool in_header);
  base::Result<void> read_literal(const std::string& literal, bool last);
  base::Result<std::int64_t> read_number(const Piece& piece);
  base::Result<std::optional<std::string>> read_bytes(const Piece& piece, const Piece* follower,
                                                      std::optional<std::int64_t> size);
  base::Result<std::string> read_exactly(std::int64_t size);
  base::Result<std::string> read_until(const std::string& literal);

  RecordFormat format_;
  std::istream* in_;
  std::int64_t record_number_ = 0;
  bool literal_is_read_ = false;  ///< read_until() took it along
};

[[nodiscard]] std::string to_hex(std::string_view data);
[[nodiscard]] std::string to_base64(std::string_view data, bool padded);
[[nodiscard]] std::optional<std::string> from_hex(std::string_view text);
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

}  // namespace weir::cli
