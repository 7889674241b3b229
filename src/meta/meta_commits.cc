// Meta: upload commits, unlinking and garbage.
#include "meta/meta_detail.h"

namespace weir::meta {

using base::ErrorKind;
using base::fail;
using keyspace::Operation;

runtime::Task<base::Result<ObjectRecord>> Meta::commit_upload(ObjectRecord object) {
  ENSURE(object.session == session_.id && object.commit == last_commit_ + 1, "commit {} after {}", object.commit.value(),
         last_commit_.value());
  ENSURE(!committing_, "commit {} while another one is under way", object.commit.value());
  ENSURE(!undecided_commit_ || *undecided_commit_ == object.id,
         "commit {} has an unknown outcome: it may only be sent again unchanged", object.commit.value());
  committing_ = true;
  auto result = co_await decide_commit(std::move(object));
  committing_ = false;
  co_return result;
}

runtime::Task<base::Result<ObjectRecord>> Meta::decide_commit(ObjectRecord object) {
  const std::string commit_key = keys::commit(session_.id);
  const std::string object_key = keys::object(session_.id, object.commit);
  keyspace::Txn txn = Detail::fenced_txn(session_);
  txn.compares.push_back({.key = commit_key, .mod_revision = commit_revision_});  // com/S.k = k - 1
  txn.operations.push_back(
      Operation::put(commit_key, encode(commit_key, CommitRecord{.commit = object.commit, .object = object.id})));
  txn.operations.push_back(Operation::put(object_key, encode(object_key, object)));
  undecided_commit_ = object.id;
  auto decision = co_await detail_->transactor.decide(std::move(txn), Patience::until_decided);
  if (!decision) {
    if (decision.kind() != ErrorKind::unknown_outcome) undecided_commit_.reset();
    co_return std::unexpected(std::move(decision).error());
  }
  object.revision = decision->revision;
  if (!decision->succeeded) {
    WEIR_CO_TRY_ASSIGN(auto entry, co_await detail_->transactor.get(commit_key));
    CommitRecord committed;
    if (entry) { WEIR_CO_TRY_ASSIGN(committed, decode_commit(*entry)); }
    if (committed.commit < object.commit) {
      auto live = co_await detail_->check_live(session_);
      if (!live && live.kind() == ErrorKind::fenced) undecided_commit_.reset();  // refused for ever
      WEIR_CO_TRY(std::move(live));
      co_return fail(ErrorKind::corrupt, fmt::format("commit {} was refused although its session lives and {} is the last one",
                                                     object.commit.value(), committed.commit.value()));
    }
    if (committed.commit != object.commit || committed.object != object.id) {
      co_return fail(ErrorKind::fenced, fmt::format("commit {} of session {} is somebody else's", committed.commit.value(),
                                                    session_.id.to_string()));
    }
    object.revision = entry->mod_revision;
  }
  undecided_commit_.reset();
  last_commit_ = object.commit;
  commit_revision_ = object.revision;
  co_return object;
}

runtime::Task<base::Result<void>> Meta::unlink_objects(std::vector<ObjectRecord> objects, base::WallMs now_ms) {
  for (const ObjectRecord& object : objects) {
    ENSURE(object.revision > 0, "an object is unlinked after it was committed");
    const std::string key = keys::object(object.session, object.commit);
    const std::string garbage_key = keys::garbage(object.id);
    keyspace::Txn txn = Detail::fenced_txn(session_);
    txn.compares.push_back({.key = key, .mod_revision = object.revision});
    txn.operations.push_back(Operation::erase(key));
    txn.operations.push_back(Operation::put(
        garbage_key, encode(garbage_key, GarbageRecord{.id = object.id, .key = object.key, .unlinked_ms = now_ms})));
    WEIR_CO_TRY_ASSIGN(Decision decision, co_await detail_->transactor.decide(std::move(txn), Patience::bounded));
    if (decision.succeeded) continue;
    WEIR_CO_TRY_ASSIGN(auto entry, co_await detail_->transactor.get(key));
    if (!entry) continue;  // unlinked before, by an ambiguous copy or an earlier call
    WEIR_CO_TRY(co_await detail_->check_live(session_));
    co_return fail(ErrorKind::exists, fmt::format("{} is not at revision {} any more", key, object.revision));
  }
  co_return base::Result<void>();
}

runtime::Task<base::Result<std::vector<GarbageRecord>>> Meta::list_garbage() {
  std::vector<GarbageRecord> garbage;
  WEIR_CO_TRY_ASSIGN(auto all, co_await detail_->transactor.list(std::string(keys::garbage_prefix)));
  for (const keyspace::KeyValue& entry : all.entries) {
    WEIR_CO_TRY_ASSIGN(GarbageRecord record, decode_garbage(entry));
    garbage.push_back(std::move(record));
  }
  co_return garbage;
}

// An object id is referenced once, never again, so gc/id is never put a second time: erasing it needs no compare of its own.
runtime::Task<base::Result<void>> Meta::drop_garbage(std::vector<GarbageRecord> garbage) {
  for (std::size_t at = 0; at < garbage.size();) {
    keyspace::Txn txn = Detail::fenced_txn(session_);
    for (std::size_t n = 0; n < keys_per_txn_max && at < garbage.size(); ++n, ++at) {
      txn.operations.push_back(Operation::erase(keys::garbage(garbage[at].id)));
    }
    WEIR_CO_TRY_ASSIGN(Decision decision, co_await detail_->transactor.decide(std::move(txn), Patience::bounded));
    if (!decision.succeeded) {
      co_return fail(ErrorKind::fenced, fmt::format("session {} is sealed", session_.id.to_string()));
    }
  }
  co_return base::Result<void>();
}

}  // namespace weir::meta
