// wire/testing/coverage.cc: what was seen of each field and version, and what was not.
#include <cstring>

#include <fmt/format.h>

#include "wire/testing/codec.h"

namespace weir::wire::testing {

unsigned FieldFact::wanted(std::int16_t version) const {
  if (version < first || version > last) return 0;
  return classes | (version >= null_first && version <= null_last ? unsigned{Seen::null} : 0U);
}

unsigned MessageCoverage::seen(std::size_t fact_index, std::int16_t version) const {
  const auto found = seen_.find({fact_index, version});
  return found == seen_.end() ? 0 : found->second;
}

std::vector<std::string> missing_coverage(const Codec& codec, const MessageCoverage& coverage) {
  static constexpr std::pair<unsigned, const char*> names[] = {{Seen::null, "null"},
                                                               {Seen::empty, "empty"},
                                                               {Seen::maximum, "maximum"},
                                                               {Seen::default_value, "default"},
                                                               {Seen::unknown_tag, "unknown tag"}};
  std::vector<std::string> lines;
  for (std::int16_t version = codec.version_min; version <= codec.version_max; ++version) {
    for (std::size_t index = 0; index < codec.facts.size(); ++index) {
      const unsigned missing = codec.facts[index].wanted(version) & ~coverage.seen(index, version);
      for (const auto& [bit, name] : names) {
        if ((missing & bit) != 0)
          lines.push_back(fmt::format("{} v{} {}: {} was never seen", codec.name, version, codec.facts[index].path, name));
      }
    }
  }
  return lines;
}

}  // namespace weir::wire::testing
