#include "keyspace/keyspace.h"

#include <fmt/core.h>

namespace weir::keyspace {

std::string prefix_end(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xFFU) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1U);
  return prefix;
}

runtime::Task<base::Result<RangeResult>> range_prefix(Keyspace& keyspace, std::string prefix, base::MonoTime deadline) {
  const std::string end = prefix_end(prefix);
  co_return co_await range_all(keyspace, std::move(prefix), end, deadline);
}

runtime::Task<base::Result<RangeResult>> range_all(Keyspace& keyspace, std::string from, std::string to,
                                                   base::MonoTime deadline) {
  RangeResult all;
  for (std::size_t page = 0; page < range_pages_max; ++page) {
    WEIR_CO_TRY_ASSIGN(RangeResult part, co_await keyspace.range(from, to, range_page_max, deadline));
    if (page == 0) all.revision = part.revision;
    for (KeyValue& entry : part.entries) all.entries.push_back(std::move(entry));
    if (!part.more) co_return all;
    from = all.entries.back().key;
    from.push_back('\0');  // the least key above it
  }
  co_return base::fail(base::ErrorKind::exhausted, fmt::format("more than {} pages of keys below {}", range_pages_max, to));
}

}  // namespace weir::keyspace
