#include "cli/record_json.h"

#include <fmt/core.h>
#include <simdjson.h>

namespace weir::cli {
namespace {

using Element = simdjson::dom::element;

// The member NAME as text, or NAME_base64 decoded; null and absent are both null.
base::Result<std::optional<std::string>> member(const simdjson::dom::object& object, const std::string& name) {
  std::string_view text;
  Element element;
  if (object.at_key(name).get(element) == simdjson::SUCCESS) {
    if (element.is_null()) return std::optional<std::string>();
    if (element.get(text) == simdjson::SUCCESS) return std::optional(std::string(text));
    return base::fail(base::ErrorKind::invalid, fmt::format("\"{}\" is not a string", name));
  }
  if (object.at_key(name + "_base64").get(text) != simdjson::SUCCESS) return std::optional<std::string>();
  auto plain = from_base64(text);
  if (!plain) return base::fail(base::ErrorKind::invalid, fmt::format("\"{}_base64\" is not base64", name));
  return plain;
}

}  // namespace

struct JsonRecords::Parser {
  simdjson::dom::parser parser;
};

JsonRecords::JsonRecords() : parser_(std::make_unique<Parser>()) {}
JsonRecords::~JsonRecords() = default;

base::Result<RecordIn> JsonRecords::parse(std::string_view line) {
  simdjson::dom::object object;
  if (parser_->parser.parse(line.data(), line.size()).get(object) != simdjson::SUCCESS)
    return base::fail(base::ErrorKind::invalid, "not a JSON object");
  RecordIn record;
  WEIR_TRY_ASSIGN(record.key, member(object, "key"));
  WEIR_TRY_ASSIGN(record.value, member(object, "value"));
  std::int64_t time = 0;
  if (object.at_key("timestamp").get(time) == simdjson::SUCCESS && time >= 0) record.timestamp_ms = time;
  simdjson::dom::array headers;
  if (object.at_key("headers").get(headers) != simdjson::SUCCESS) return record;
  for (const Element header : headers) {
    simdjson::dom::object one;
    if (header.get(one) != simdjson::SUCCESS) return base::fail(base::ErrorKind::invalid, "a header is not an object");
    auto key = member(one, "key");
    auto value = member(one, "value");
    if (!key || !value) return std::unexpected(!key ? key.error() : value.error());
    record.headers.emplace_back(key->value_or(""), std::move(*value));
  }
  return record;
}

}  // namespace weir::cli
