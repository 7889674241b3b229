// meta/meta_detail.h: what the parts of Meta share. Included by meta_*.cc only.
#pragma once

#include <string>
#include <vector>

#include "base/ensure.h"
#include "meta/codec.h"
#include "meta/keys.h"
#include "meta/meta.h"
#include "meta/transact.h"

namespace weir::meta {

/// Partitions or keys in one txn: each takes at most a compare and a put, beside the session's compare.
inline constexpr std::size_t keys_per_txn_max = (keyspace::txn_operations_max - 8) / 2;

struct Meta::Detail {
  explicit Detail(keyspace::Keyspace& keyspace) : transactor(keyspace) {}
  Transactor transactor;

  /// A txn that compares the session.
  static keyspace::Txn fenced_txn(const SessionRecord& session) {
    ENSURE(session.revision > 0, "a mutation before begin_session()");
    return {.compares = {{.key = keys::session(session.id), .mod_revision = session.revision}}, .operations = {}};
  }
  /// transactor.get() that is repeated until it answers: of what an unknown transaction may have done, not knowing is no answer.
  runtime::Task<base::Result<std::optional<keyspace::KeyValue>>> get_for_certain(std::string key) {
    for (;;) {
      auto entry = co_await transactor.get(key);
      const bool again = !entry && (entry.kind() == base::ErrorKind::retry || entry.kind() == base::ErrorKind::io ||
                                    entry.kind() == base::ErrorKind::unknown_outcome);
      if (!again || transactor.stopping()) co_return entry;
    }
  }
  /// fenced once sess/S is not as this broker put it; absent counts as sealed.
  runtime::Task<base::Result<void>> check_live(const SessionRecord& session) {
    const std::string key = keys::session(session.id);
    WEIR_CO_TRY_ASSIGN(auto entry, co_await transactor.get(key));
    if (!entry || entry->mod_revision != session.revision) {
      co_return base::fail(base::ErrorKind::fenced, fmt::format("session {} is sealed", session.id.to_string()));
    }
    co_return base::Result<void>();
  }
  /// Erases the keys under `prefix`, in txns that compare the session.
  runtime::Task<base::Result<void>> erase_all(SessionRecord session, std::string prefix);
  runtime::Task<base::Result<void>> erase_topic_keys(SessionRecord session, model::TopicId topic);
};

/// invalid when the value is larger than a keyspace takes (a topic with an enormous assignment).
[[nodiscard]] inline base::Result<std::string> value_that_fits(std::string value, std::string_view what) {
  if (value.size() <= keyspace::value_bytes_max) return value;
  return base::fail(base::ErrorKind::invalid, fmt::format("{} would take {} bytes in the keyspace, at most {} are possible",
                                                          what, value.size(), keyspace::value_bytes_max));
}

}  // namespace weir::meta
