// keyspace/open.h: from a setting to a keyspace. Today's one scheme: file:///DIRECTORY (one node, rocksdb.h).
// Failure:    invalid = the URL; otherwise as the implementation's open.
// Tests:      open_test.cc
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "keyspace/keyspace.h"
#include "runtime/runtime.h"

namespace weir::keyspace {

struct Location {
  std::string directory;  ///< absolute, without a trailing '/'
  bool operator==(const Location&) const = default;
};

[[nodiscard]] base::Result<Location> parse_keyspace_url(std::string_view url);
/// On the reactor that becomes the keyspace's home; `runtime` outlives it.
runtime::Task<base::Result<std::unique_ptr<Keyspace>>> open_keyspace(runtime::Runtime& runtime, std::string url);

}  // namespace weir::keyspace
