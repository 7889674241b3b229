// Meta: ownership of partitions and their log starts.
#include <algorithm>
#include <map>

#include "meta/core/own_history.h"
#include "meta/meta_detail.h"

namespace weir::meta {

using base::ErrorKind;
using base::fail;
using keyspace::Operation;

namespace {
constexpr std::size_t log_start_attempts_max = 16;  ///< lost compares of one chunk: only other calls of this broker race
}  // namespace

runtime::Task<base::Result<OwnRecord>> Meta::open_epoch(model::TopicPartition partition, OwnRecord current, model::Offset start,
                                                        model::Offset uploaded_to) {
  base::Result<OwnRecord> opened = core::next_epoch(current, session_.id, start, uploaded_to);
  if (!opened) co_return opened;
  const std::string key = keys::own(partition);
  const std::string value = encode(key, *opened);
  keyspace::Txn txn = Detail::fenced_txn(session_);
  txn.compares.push_back({.key = key, .mod_revision = current.revision});
  txn.operations.push_back(Operation::put(key, value));
  WEIR_CO_TRY_ASSIGN(Decision decision, co_await detail_->transactor.decide(std::move(txn), Patience::until_decided));
  opened->revision = decision.revision;
  if (decision.succeeded) co_return opened;
  WEIR_CO_TRY_ASSIGN(auto entry, co_await detail_->transactor.get(key));
  if (decision.was_ambiguous && entry && entry->value == value) {
    opened->revision = entry->mod_revision;
    co_return opened;
  }
  WEIR_CO_TRY(co_await detail_->check_live(session_));
  co_return fail(ErrorKind::exists, fmt::format("{} is not at revision {} any more", key, current.revision));
}

// Grouped into txns; each reads the present starts and compares their revisions, so a start never goes back, also when an
// ambiguous copy of an older call is applied late.
runtime::Task<base::Result<void>> Meta::set_log_starts(std::vector<std::pair<model::TopicPartition, model::Offset>> starts) {
  std::map<std::string, model::Offset> wanted;
  for (const auto& [partition, start] : starts) {
    ENSURE(start.value() >= 0, "a log start of {}", start.value());
    auto& slot = wanted[keys::log_start(partition)];
    slot = std::max(slot, start);
  }
  std::vector<std::pair<std::string, model::Offset>> chunk;
  for (auto at = wanted.begin(); at != wanted.end();) {
    chunk.clear();
    for (; at != wanted.end() && chunk.size() < keys_per_txn_max; ++at) chunk.emplace_back(*at);
    WEIR_CO_TRY(co_await raise_log_starts(chunk));
  }
  co_return base::Result<void>();
}

runtime::Task<base::Result<void>> Meta::raise_log_starts(std::vector<std::pair<std::string, model::Offset>> chunk) {
  for (std::size_t attempt = 0; attempt < log_start_attempts_max; ++attempt) {
    keyspace::Txn txn = Detail::fenced_txn(session_);
    for (const auto& [key, start] : chunk) {
      WEIR_CO_TRY_ASSIGN(auto entry, co_await detail_->transactor.get(key));
      if (entry) {
        WEIR_CO_TRY_ASSIGN(const model::Offset present, decode_log_start(*entry));
        if (present >= start) continue;
      }
      txn.compares.push_back({.key = key, .mod_revision = entry ? entry->mod_revision : 0});
      txn.operations.push_back(Operation::put(key, encode_log_start(key, start)));
    }
    if (txn.operations.empty()) co_return base::Result<void>();
    WEIR_CO_TRY_ASSIGN(Decision decision, co_await detail_->transactor.decide(std::move(txn), Patience::bounded));
    if (decision.succeeded) co_return base::Result<void>();
    WEIR_CO_TRY(co_await detail_->check_live(session_));
  }
  co_return fail(ErrorKind::retry, "the log starts were changed by others again and again");
}

}  // namespace weir::meta
