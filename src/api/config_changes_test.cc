#include "api/config_changes.h"

#include <gtest/gtest.h>

namespace weir::api {
namespace {

using model::ErrorCode;

constexpr std::int8_t set = 0;
constexpr std::int8_t remove = 1;
constexpr std::int8_t append = 2;
constexpr std::int8_t subtract = 3;

std::optional<std::string> only_policy(const std::string& name) {
  return name == "cleanup.policy" ? std::optional<std::string>("delete") : std::nullopt;
}

TEST(ConfigChanges, NullsDuplicatesAndUnknownOperationsAreRefused) {
  EXPECT_TRUE(check_changes({{"a", set, "1"}, {"b", remove, std::nullopt}}));
  EXPECT_EQ(check_changes({{"a", set, std::nullopt}}).error().error, ErrorCode::invalid_request);
  EXPECT_EQ(check_changes({{"a", append, std::nullopt}}).error().error, ErrorCode::invalid_request);
  EXPECT_EQ(check_changes({{"a", set, "1"}, {"a", remove, std::nullopt}}).error().error, ErrorCode::invalid_request);
  EXPECT_EQ(check_changes({{"a", 9, "1"}}).error().error, ErrorCode::unknown_server_error);
  EXPECT_EQ(check_changes({{"a", -1, "1"}}).error().error, ErrorCode::unknown_server_error);
}

// As Apache Kafka 4.3.1 answers.
TEST(ConfigChanges, ListsGrowFromTheValueInEffectAndShrinkToNothing) {
  const auto after = [](const config::Values& before, const std::vector<ConfigChange>& changes) {
    auto values = apply_changes(before, changes, only_policy);
    return values ? values->at("cleanup.policy") : values.error().message;
  };
  EXPECT_EQ(after({}, {{"cleanup.policy", append, "compact"}}), "delete,compact");
  EXPECT_EQ(after({{"cleanup.policy", "delete,compact"}}, {{"cleanup.policy", append, "compact,delete"}}), "delete,compact");
  EXPECT_EQ(after({{"cleanup.policy", "delete,compact"}}, {{"cleanup.policy", subtract, "delete"}}), "compact");
  EXPECT_EQ(after({{"cleanup.policy", "compact"}}, {{"cleanup.policy", subtract, "compact"}}), "");
  EXPECT_EQ(after({}, {{"retention.ms", append, "1"}}), "Can't APPEND to key retention.ms because its type is not LIST.");
  EXPECT_EQ(after({}, {{"nope", subtract, "1"}}), "Can't SUBTRACT to key nope because its type is not LIST.");
}

TEST(ConfigChanges, SettingAndRemoving) {
  const auto values = apply_changes({{"a", "1"}, {"b", "2"}}, {{"a", remove, std::nullopt}, {"c", set, ""}}, only_policy);
  ASSERT_TRUE(values.has_value());
  EXPECT_EQ(*values, (config::Values{{"b", "2"}, {"c", ""}}));
}

}  // namespace
}  // namespace weir::api
