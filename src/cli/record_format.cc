#include "cli/record_format.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/core.h>

namespace weir::cli {
namespace {

constexpr std::string_view base64_letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::optional<Verb> verb_of(char letter) {
  switch (letter) {
    case 't': return Verb::topic;
    case 'p': return Verb::partition;
    case 'o': return Verb::offset;
    case 'd':
    case 'T': return Verb::timestamp;
    case 'i': return Verb::number;
    case 'k': return Verb::key;
    case 'v':
    case 's': return Verb::value;
    case 'K': return Verb::key_size;
    case 'V':
    case 'S': return Verb::value_size;
    case 'H': return Verb::header_count;
    case 'h': return Verb::headers;
    default: return std::nullopt;
  }
}

bool is_bytes(Verb verb) { return verb == Verb::key || verb == Verb::value || verb == Verb::topic; }

base::Result<void> fault(std::string text) { return base::fail(base::ErrorKind::invalid, std::move(text)); }

// unpack[...] and strftime[...]: the text between the brackets.
std::optional<std::string_view> bracketed(std::string_view modifier, std::string_view name) {
  if (!modifier.starts_with(name) || modifier.size() < name.size() + 2 || modifier[name.size()] != '[' ||
      modifier.back() != ']')
    return std::nullopt;
  return modifier.substr(name.size() + 1, modifier.size() - name.size() - 2);
}

bool set_width(std::string_view modifier, Piece& piece) {
  for (const auto& [name, form] : {std::pair<std::string_view, Form>{"big", Form::big}, {"little", Form::little}}) {
    if (!modifier.starts_with(name)) continue;
    const std::string_view bits = modifier.substr(name.size());
    piece.form = form;
    piece.width_bytes = bits == "64" ? 8 : bits == "32" ? 4 : bits == "16" ? 2 : bits == "8" ? 1 : 0;
    return piece.width_bytes > 0;
  }
  return false;
}

base::Result<void> set_form(std::string_view modifier, Piece& piece) {
  if (is_bytes(piece.verb)) {
    if (modifier == "hex") return piece.form = Form::hex, base::Result<void>();
    if (modifier == "base64") return piece.form = Form::base64, base::Result<void>();
    if (modifier == "base64raw") return piece.form = Form::base64_raw, base::Result<void>();
    if (const auto layout = bracketed(modifier, "unpack")) {
      piece.form = Form::unpack;
      piece.text = std::string(*layout);
      if (piece.text.find_first_not_of("<>bBhHiIqQcsx$") == std::string::npos) return {};
      return fault(fmt::format("unpack[{}]: only < > b B h H i I q Q c s x $ are known", piece.text));
    }
    return fault(fmt::format("{{{}}}: bytes take hex, base64, base64raw or unpack[...]", modifier));
  }
  if (piece.verb == Verb::timestamp) {
    if (modifier == "ms") return {};
    if (modifier == "s") return piece.form = Form::seconds, base::Result<void>();
    if (modifier == "iso") return piece.form = Form::iso, base::Result<void>();
    if (const auto pattern = bracketed(modifier, "strftime")) {
      piece.form = Form::strftime;
      piece.text = std::string(*pattern);
      return {};
    }
  }
  if (modifier == "ascii" || modifier == "number") return {};
  if (modifier == "hex") return piece.form = Form::hex, base::Result<void>();
  if (set_width(modifier, piece)) return {};
  return fault(fmt::format("{{{}}}: numbers take ascii, hex, big64, big32, big16, big8 or little64 ... little8{}", modifier,
                           piece.verb == Verb::timestamp ? ", times ms, s, iso or strftime[...] too" : ""));
}

// The text up to the brace that closes the one before it; brackets may hold braces.
std::optional<std::string_view> take_braced(std::string_view& text) {
  int depth = 1;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 1 < text.size() && (text[i + 1] == '{' || text[i + 1] == '}')) {
      ++i;
    } else if (text[i] == '{') {
      ++depth;
    } else if (text[i] == '}' && --depth == 0) {
      const std::string_view inner = text.substr(0, i);
      text.remove_prefix(i + 1);
      return inner;
    }
  }
  return std::nullopt;
}

base::Result<char> take_escape(std::string_view& text) {
  if (text.empty()) return base::fail(base::ErrorKind::invalid, "the format ends in a backslash");
  const char c = text.front();
  text.remove_prefix(1);
  switch (c) {
    case 'n': return '\n';
    case 't': return '\t';
    case 'r': return '\r';
    case '0': return '\0';
    case 'x': {
      const auto byte = from_hex(text.substr(0, std::min<std::size_t>(2, text.size())));
      if (!byte || byte->size() != 1) return base::fail(base::ErrorKind::invalid, "\\x needs two hexadecimal digits");
      text.remove_prefix(2);
      return byte->front();
    }
    default: return c;
  }
}

void add_literal(RecordFormat& format, char c) {
  if (format.empty() || format.back().verb != Verb::literal) format.emplace_back();
  format.back().text.push_back(c);
}

base::Result<void> take_verb(std::string_view& text, RecordFormat& format) {
  if (text.empty()) return fault("the format ends in '%'");
  const char letter = text.front();
  text.remove_prefix(1);
  if (letter == '%' || letter == '{' || letter == '}') {
    add_literal(format, letter);
    return {};
  }
  const auto verb = verb_of(letter);
  if (!verb) return fault(fmt::format("%{}: not known; %t %p %o %d %i %k %v %K %V %H %h{{...}} are", letter));
  Piece piece{.verb = *verb, .nested = {}};
  if (text.starts_with('{')) {
    text.remove_prefix(1);
    const auto inner = take_braced(text);
    if (!inner) return fault(fmt::format("%{}{{: the closing brace is missing", letter));
    if (*verb == Verb::headers) {
      auto nested = parse_record_format(*inner);
      if (!nested) return std::unexpected(nested.error());
      for (const Piece& one : *nested) {
        if (one.verb != Verb::literal && one.verb != Verb::key && one.verb != Verb::value && one.verb != Verb::key_size &&
            one.verb != Verb::value_size)
          return fault("%h{...} takes %k %v %K %V inside");
      }
      piece.nested = std::move(*nested);
    } else {
      WEIR_TRY(set_form(*inner, piece));
    }
  }
  format.push_back(std::move(piece));
  return {};
}

void append_number(std::string& out, const Piece& piece, std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  switch (piece.form) {
    case Form::hex: out += fmt::format("{:x}", bits); return;
    case Form::big:
      for (int i = piece.width_bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(bits >> (8 * i)));
      return;
    case Form::little:
      for (int i = 0; i < piece.width_bytes; ++i) out.push_back(static_cast<char>(bits >> (8 * i)));
      return;
    default: out += std::to_string(value);
  }
}

void append_time(std::string& out, const Piece& piece, std::int64_t ms) {
  const auto seconds = static_cast<std::time_t>(ms >= 0 ? ms / 1000 : (ms - 999) / 1000);
  if (piece.form == Form::seconds) {
    out += std::to_string(seconds);
  } else if (piece.form == Form::iso || piece.form == Form::strftime) {
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 256> text{};
    const bool iso = piece.form == Form::iso;
    const std::size_t size = std::strftime(text.data(), text.size(), iso ? "%Y-%m-%dT%H:%M:%S" : piece.text.c_str(), &parts);
    out.append(text.data(), size);
    if (iso) out += fmt::format(".{:03}Z", ms - static_cast<std::int64_t>(seconds) * 1000);
  } else {
    append_number(out, piece, ms);
  }
}

std::uint64_t load(std::string_view data, bool little) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < data.size(); ++i)
    value = value << 8U | static_cast<std::uint8_t>(data[little ? data.size() - 1 - i : i]);
  return value;
}

// What does not fit the layout is shown as <short> or <more>, not passed over.
std::string unpacked(std::string_view layout, std::string_view data) {
  std::string out;
  bool little = false;
  const auto add = [&out](const std::string& text) { out += (out.empty() ? "" : " ") + text; };
  for (const char c : layout) {
    if (c == '<' || c == '>') {
      little = c == '<';
      continue;
    }
    if (c == '$') {
      if (!data.empty()) add("<more>");
      continue;
    }
    if (c == 's') {
      add(std::string(data));
      data = {};
      continue;
    }
    const char lower = static_cast<char>(c | 0x20);
    const std::size_t width = lower == 'h' ? 2 : lower == 'i' ? 4 : lower == 'q' ? 8 : 1;
    if (data.size() < width) {
      add("<short>");
      return out;
    }
    const std::uint64_t bits = load(data.substr(0, width), little);
    if (c == 'c') add(std::string(data.substr(0, 1)));
    if (c == 'B' || c == 'H' || c == 'I' || c == 'Q') add(std::to_string(bits));
    if (c == 'b' || c == 'h' || c == 'i' || c == 'q') {
      const unsigned shift = static_cast<unsigned>(64 - 8 * width);
      add(std::to_string(static_cast<std::int64_t>(bits << shift) >> shift));
    }
    data.remove_prefix(width);
  }
  return out;
}

void append_bytes(std::string& out, const Piece& piece, std::string_view data) {
  switch (piece.form) {
    case Form::hex: out += to_hex(data); return;
    case Form::base64: out += to_base64(data, true); return;
    case Form::base64_raw: out += to_base64(data, false); return;
    case Form::unpack: out += unpacked(piece.text, data); return;
    default: out += data;
  }
}

std::int64_t size_of(const std::optional<std::string_view>& data) {
  return data ? static_cast<std::int64_t>(data->size()) : -1;
}

void append_headers(std::string& out, const Piece& piece, const HeaderViews& headers) {
  bool first = true;
  for (const auto& [name, value] : headers) {
    if (!piece.nested.empty()) {
      write_record(piece.nested, {.topic = {}, .key = name, .value = value, .headers = {}}, out);
      continue;
    }
    out += fmt::format("{}{}={}", first ? "" : ",", name, value.value_or(""));
    first = false;
  }
}

}  // namespace

std::string to_hex(std::string_view data) {
  std::string out;
  for (const char c : data) out += fmt::format("{:02x}", static_cast<std::uint8_t>(c));
  return out;
}

std::optional<std::string> from_hex(std::string_view text) {
  std::string out;
  if (text.size() % 2 != 0) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    std::uint8_t byte = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, byte, 16);
    if (error != std::errc{} || end != text.data() + i + 2) return std::nullopt;
    out.push_back(static_cast<char>(byte));
  }
  return out;
}

std::string to_base64(std::string_view data, bool padded) {
  std::string out;
  for (std::size_t i = 0; i < data.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, data.size() - i);
    const std::uint64_t bits = load(data.substr(i, count), false) << (8 * (3 - count));
    for (std::size_t letter = 0; letter < 4; ++letter) {
      if (letter <= count) out.push_back(base64_letters[bits >> (18 - 6 * letter) & 63U]);
      if (letter > count && padded) out.push_back('=');
    }
  }
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const char c : text) {
    const std::size_t value = base64_letters.find(c == '-' ? '+' : c == '_' ? '/' : c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6U | static_cast<std::uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      out.push_back(static_cast<char>(bits >> held & 0xFFU));
    }
  }
  return out;
}

base::Result<RecordFormat> parse_record_format(std::string_view text) {
  RecordFormat format;
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c == '%') {
      WEIR_TRY(take_verb(text, format));
    } else if (c == '\\') {
      auto byte = take_escape(text);
      if (!byte) return std::unexpected(byte.error());
      add_literal(format, *byte);
    } else {
      add_literal(format, c);
    }
  }
  return format;
}

void write_record(const RecordFormat& format, const RecordOut& record, std::string& out) {
  for (const Piece& piece : format) {
    switch (piece.verb) {
      case Verb::literal: out += piece.text; break;
      case Verb::topic: append_bytes(out, piece, record.topic); break;
      case Verb::partition: append_number(out, piece, record.partition); break;
      case Verb::offset: append_number(out, piece, record.offset); break;
      case Verb::timestamp: append_time(out, piece, record.timestamp_ms); break;
      case Verb::number: append_number(out, piece, record.number); break;
      case Verb::key: append_bytes(out, piece, record.key.value_or("")); break;
      case Verb::value: append_bytes(out, piece, record.value.value_or("")); break;
      case Verb::key_size: append_number(out, piece, size_of(record.key)); break;
      case Verb::value_size: append_number(out, piece, size_of(record.value)); break;
      case Verb::header_count: append_number(out, piece, static_cast<std::int64_t>(record.headers.size())); break;
      case Verb::headers: append_headers(out, piece, record.headers); break;
    }
  }
}

}  // namespace weir::cli
