#include "runtime/durable_directories.h"

#include <string_view>
#include <utility>
#include <vector>

namespace weir::runtime {
namespace {

/// Every directory that holds an entry on the way to `path`, from the top: "/", "/a" for "/a/b"; "." and "a" for "a/b".
std::vector<std::string> holders_of(std::string_view path) {
  std::vector<std::string> holders;
  holders.emplace_back(path.starts_with('/') ? "/" : ".");
  for (std::size_t at = path.find_first_not_of('/'); at != std::string_view::npos;) {
    const std::size_t slash = path.find('/', at);
    if (slash == std::string_view::npos) break;
    const std::size_t next = path.find_first_not_of('/', slash);
    if (next == std::string_view::npos) break;  // only a slash at the end
    holders.emplace_back(path.substr(0, slash));
    at = next;
  }
  return holders;
}

}  // namespace

Task<base::Result<void>> create_durable_directories(FileSystem& files, std::string path) {
  const std::vector<std::string> holders = holders_of(path);
  std::vector<bool> existed;
  for (const std::string& holder : holders) existed.push_back((co_await files.stat(holder)).has_value());
  WEIR_CO_TRY(co_await files.create_directories(path));
  for (std::size_t i = 0; i < holders.size(); ++i) {
    auto synced = co_await files.sync_directory(holders[i]);
    const bool below_is_ours = i + 1 < holders.size() ? !existed[i + 1] : true;
    if (!synced && (synced.kind() == base::ErrorKind::io || !existed[i] || below_is_ours)) {
      co_return base::with_context("syncing the directory " + holders[i], synced.error());
    }
  }
  co_return base::Result<void>();
}

}  // namespace weir::runtime
