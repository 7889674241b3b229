// Meta: manifests of partitions (protocols: merging is monotone).
#include "meta/meta_detail.h"

namespace weir::meta {

using base::ErrorKind;
using base::fail;
using keyspace::Operation;

namespace {

void put_garbage(keyspace::Txn& txn, const std::vector<GarbageRecord>& dropped, base::WallMs now_ms) {
  ENSURE(dropped.size() <= manifest_drops_max, "{} objects are dropped at once", dropped.size());
  for (GarbageRecord record : dropped) {
    record.unlinked_ms = now_ms;
    const std::string key = keys::garbage(record.id);
    txn.operations.push_back(Operation::put(key, encode(key, record)));
  }
}

}  // namespace

// A late copy can not be applied behind this call: man/P's revision has moved then. So an object goes to gc/ once.
runtime::Task<base::Result<ManifestRecord>> Meta::commit_manifest(ManifestRecord old, ManifestRecord next,
                                                                  std::vector<GarbageRecord> dropped, base::WallMs now_ms) {
  ENSURE(old.sequence < next.sequence && (old.sequence == 0) == (old.revision == 0), "manifest {} after {}", next.sequence,
         old.sequence);
  ENSURE(old.covers_to <= next.covers_to, "a manifest that covers up to {} after one up to {}", next.covers_to.value(),
         old.covers_to.value());
  ENSURE(old.revision == 0 || old.partition == next.partition, "the manifest of another partition");
  const std::string key = keys::manifest(next.partition);
  const std::string value = encode(key, next);
  keyspace::Txn txn = Detail::fenced_txn(session_);
  txn.compares.push_back({.key = key, .mod_revision = old.revision});
  txn.operations.push_back(Operation::put(key, value));
  put_garbage(txn, dropped, now_ms);
  WEIR_CO_TRY_ASSIGN(Decision decision, co_await detail_->transactor.decide(std::move(txn), Patience::until_decided));
  next.revision = decision.revision;
  if (decision.succeeded) co_return next;
  WEIR_CO_TRY_ASSIGN(auto entry, co_await detail_->get_for_certain(key));
  if (decision.was_ambiguous && entry && entry->value == value) {  // the page's id makes the value ours alone
    next.revision = entry->mod_revision;
    co_return next;
  }
  WEIR_CO_TRY(co_await detail_->check_live(session_));
  co_return fail(ErrorKind::exists, fmt::format("{} is not at revision {} any more", key, old.revision));
}

}  // namespace weir::meta
