#include "model/topic_name.h"

#include <algorithm>

#include <fmt/core.h>

namespace weir::model {
namespace {

bool allowed(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}
char folded(char c) { return c == '.' ? '_' : c; }

}  // namespace

std::string topic_name_fault(std::string_view name) {
  if (name.empty()) return "a topic name must not be empty";
  if (name == "." || name == "..") return "a topic name must not be '.' or '..'";
  if (name.size() > topic_name_bytes_max) {
    return fmt::format("a topic name has at most {} characters, this one has {}", topic_name_bytes_max, name.size());
  }
  if (!std::ranges::all_of(name, allowed)) return "a topic name may hold letters, digits, '.', '_' and '-' only";
  return {};
}

bool topic_names_collide(std::string_view a, std::string_view b) {
  return a != b && std::ranges::equal(a, b, {}, folded, folded);
}

bool is_internal_topic(std::string_view name) {
  return name == "__consumer_offsets" || name == "__transaction_state" || name == "__share_group_state";
}

}  // namespace weir::model
