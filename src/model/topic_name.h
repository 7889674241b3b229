// model/topic_name.h: which topic names exist. Kafka's rules: 1 to 249 of [a-zA-Z0-9._-], neither "." nor "..".
// Why:        clients and tools rely on them; two names that differ only in '.' and '_' would give the same metric names, so
//             Kafka refuses the second one.
// Contract:   pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace weir::model {

inline constexpr std::size_t topic_name_bytes_max = 249;

/// Empty when the name is allowed, otherwise what is wrong with it, for a person.
[[nodiscard]] std::string topic_name_fault(std::string_view name);
/// Whether two different names become equal when '.' is read as '_'.
[[nodiscard]] bool topic_names_collide(std::string_view a, std::string_view b);
/// The topics that Kafka's coordinators keep their state in: clients cannot write to them.
[[nodiscard]] bool is_internal_topic(std::string_view name);

}  // namespace weir::model
