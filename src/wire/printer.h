// wire/printer.h: a message as one line of JSON, for logs, tools and the proof against Kafka's own JSON.
// Contract:   Mode::log hides secrets and shows only the sizes of bytes and records, and names error codes; Mode::exact has
//             everything, in the form of Kafka's JSON converters, and must not reach a log.
// Tests:      printer_test.cc, tests/compat/wire (exact form equals Kafka's).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/strong.h"
#include "bytes/buffer.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "wire/records.h"

namespace weir::wire {

class Printer {
 public:
  enum class Mode : std::uint8_t { log, exact };
  explicit Printer(Mode mode = Mode::log) : mode_(mode) {}

  void begin_object() {
    item();
    text_ += '{';
    fresh_ = true;
  }
  void end_object() {
    text_ += '}';
    fresh_ = false;
  }
  void begin_array() {
    item();
    text_ += '[';
    fresh_ = true;
  }
  void end_array() {
    text_ += ']';
    fresh_ = false;
  }
  void key(std::string_view name);
  void null() {
    item();
    text_ += "null";
  }
  void boolean(bool value) {
    item();
    text_ += value ? "true" : "false";
  }
  void number(std::int64_t value);
  template <class Id>
    requires requires { typename Id::value_type; }
  void number(Id id) {
    number(static_cast<std::int64_t>(id.value()));
  }
  void float64(double value);
  void error_code(model::ErrorCode code);
  void uuid(const model::Uuid& id);
  void string(std::string_view text);
  void bytes(bytes::Bytes data);
  void records(const Records& records);
  /// True in log mode, after writing a mark in place of a secret value.
  bool hides_secret();

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  /// The comma between items.
  void item() {
    if (!fresh_) text_ += ',';
    fresh_ = false;
  }
  void base64(bytes::Bytes data);
  std::string text_;
  Mode mode_;
  bool fresh_ = true;
};

}  // namespace weir::wire
