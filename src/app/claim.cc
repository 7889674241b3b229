#include "app/claim.h"

#include <fmt/core.h>

#include "bytes/crc32c.h"

namespace weir::app {

using runtime::Task;

namespace {
constexpr const char* claim_key = "weir-cluster";
constexpr std::string_view claim_prefix = "weir cluster ";
}  // namespace

Task<base::Result<void>> claim_store(store::ObjectStore& store, model::ClusterId cluster, base::MonoTime deadline) {
  const std::string text = std::string(claim_prefix) + cluster.to_string() + "\n";
  const auto judge = [&](const bytes::Buffer& found) -> base::Result<void> {
    if (found.text() == text) return {};
    if (found.text().starts_with(claim_prefix)) {
      return base::fail(base::ErrorKind::invalid,
                        fmt::format("{} belongs to cluster {}, and this broker's keyspace to cluster {}: check "
                                    "weir.store and weir.keyspace; a new cluster needs an empty prefix",
                                    store.description(), found.text().substr(claim_prefix.size(), 22), cluster.to_string()));
    }
    return base::fail(base::ErrorKind::invalid, fmt::format("{}: the object '{}' is not weir's: give weir a prefix of its own",
                                                            store.description(), claim_key));
  };
  // Read first: a restart is the common case, and a GET changes nothing.
  auto found = co_await store.get(claim_key, 0, 0, {.deadline = deadline});
  if (found) co_return judge(*found);
  if (found.kind() != base::ErrorKind::not_found) co_return base::with_context(store.description(), found.error());
  const bytes::Buffer body = bytes::Buffer::copy_of(text);
  auto put = co_await store.put(claim_key, {body},
                                {.if_none_match = true, .crc32c = bytes::crc32c(body.view()), .deadline = deadline});
  if (put) co_return base::Result<void>();
  if (put.kind() != base::ErrorKind::exists) co_return base::with_context(store.description(), put.error());
  found = co_await store.get(claim_key, 0, 0, {.deadline = deadline});
  if (!found) co_return base::with_context(store.description(), found.error());
  co_return judge(*found);
}

}  // namespace weir::app
