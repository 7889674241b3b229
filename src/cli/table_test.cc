#include "cli/table.h"

#include <gtest/gtest.h>

namespace weir::cli {
namespace {

TEST(Table, TextHasAsManyWordsInEachLine) {
  Table table({"a_name", "n", "last"});
  table.add({"x", 5, "end"});
  table.add({"longer-than-title", Cell(), ""});
  EXPECT_EQ(table.text(),
            "A-NAME             N  LAST\n"
            "x                  5  end\n"
            "longer-than-title  -  -\n");
}

TEST(Table, JsonKeepsTypes) {
  Table table({"s", "n", "b", "none", "f"});
  table.add({"q\"", std::int64_t{-3}, true, std::optional<int>(), Cell(1.256, 2)});
  EXPECT_EQ(table.json(), R"([{"s":"q\"","n":-3,"b":true,"none":null,"f":1.26}])");
}

}  // namespace
}  // namespace weir::cli
