// cli/record_json.h: a line of `weir consume --format json` back to a record: a topic is copied in one pipe.
// Contract:   key, value or key_base64, value_base64; headers as [{"key","value"}]; timestamp; topic, partition and offset are read
//             over. Unknown members are read over too.
// Tests:      cli/record_json_test.cc
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "cli/record_format.h"

namespace weir::cli {

class JsonRecords {
 public:
  JsonRecords();
  ~JsonRecords();
  JsonRecords(const JsonRecords&) = delete;
  JsonRecords& operator=(const JsonRecords&) = delete;
  [[nodiscard]] base::Result<RecordIn> parse(std::string_view line);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace weir::cli
