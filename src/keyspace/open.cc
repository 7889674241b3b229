#include "keyspace/open.h"

#include <utility>

#include <fmt/core.h>

#include "keyspace/rocksdb.h"

namespace weir::keyspace {

using base::ErrorKind;
using base::fail;

base::Result<Location> parse_keyspace_url(std::string_view url) {
  const std::size_t colon = url.find(':');
  const std::string_view scheme = url.substr(0, colon);
  if (colon == std::string_view::npos || scheme.empty()) {
    return fail(ErrorKind::invalid, fmt::format("'{}' is no keyspace URL: write file:///DIRECTORY", url));
  }
  if (scheme != "file") {
    return fail(ErrorKind::invalid, fmt::format("keyspace URL '{}': the scheme '{}' is not known; this version has "
                                                "file:///DIRECTORY",
                                                url, scheme));
  }
  const std::string_view rest = url.substr(colon + 1);
  if (!rest.starts_with("///")) {
    return fail(ErrorKind::invalid,
                fmt::format("keyspace URL '{}': it takes an absolute path and no host: file:///DIRECTORY", url));
  }
  std::string_view path = rest.substr(2);
  if (path.find_first_of("?#%") != std::string_view::npos || path.find('\0') != std::string_view::npos) {
    return fail(ErrorKind::invalid, fmt::format("keyspace URL '{}': '?', '#' and '%' are not allowed in the path", url));
  }
  while (path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return fail(ErrorKind::invalid, fmt::format("keyspace URL '{}': the root directory will not do", url));
  return Location{.directory = std::string(path)};
}

runtime::Task<base::Result<std::unique_ptr<Keyspace>>> open_keyspace(runtime::Runtime& runtime, std::string url) {
  WEIR_CO_TRY_ASSIGN(Location location, parse_keyspace_url(url));
  WEIR_CO_TRY_ASSIGN(std::unique_ptr<Keyspace> keyspace,
                     co_await open_rocksdb_keyspace(runtime, std::move(location.directory)));
  co_return keyspace;
}

}  // namespace weir::keyspace
