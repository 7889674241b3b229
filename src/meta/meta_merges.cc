// Meta: one object takes the place of several (protocols.md, 7).
#include <algorithm>

#include "meta/meta_detail.h"

namespace weir::meta {

using base::ErrorKind;
using base::fail;
using keyspace::Operation;

runtime::Task<base::Result<std::vector<ObjectRecord>>> Meta::list_objects() {
  std::vector<ObjectRecord> objects;
  WEIR_CO_TRY_ASSIGN(auto all, co_await detail_->transactor.list(std::string(keys::object_prefix)));
  for (const keyspace::KeyValue& entry : all.entries) {
    WEIR_CO_TRY_ASSIGN(ObjectRecord object, decode_object(entry));
    objects.push_back(std::move(object));
  }
  std::ranges::sort(objects, {}, &ObjectRecord::place);
  co_return objects;
}

// The inputs' keys go in the same transaction, and their revisions are compared: a second copy is refused.
runtime::Task<base::Result<ObjectRecord>> Meta::commit_merge(ObjectRecord merged, std::vector<ObjectRecord> inputs,
                                                             base::WallMs now_ms) {
  ENSURE(merged.session == session_.id && is_merge(merged.commit), "merge {} of session {}", merged.commit.value(),
         merged.session.to_string());
  ENSURE(!inputs.empty() && inputs.size() <= merge_inputs_max, "a merge of {} objects", inputs.size());
  const std::string merged_key = keys::object(session_.id, merged.commit);
  keyspace::Txn txn = Detail::fenced_txn(session_);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const ObjectRecord& input = inputs[i];
    ENSURE(input.revision > 0 && (i == 0 || inputs[i - 1].place() < input.place()), "inputs of a merge stand in order");
    const std::string key = keys::object(input.session, input.commit);
    const std::string garbage_key = keys::garbage(input.id);
    txn.compares.push_back({.key = key, .mod_revision = input.revision});
    txn.operations.push_back(Operation::erase(key));
    txn.operations.push_back(Operation::put(
        garbage_key, encode(garbage_key, GarbageRecord{.id = input.id, .key = input.key, .unlinked_ms = now_ms})));
  }
  merged.merged_place = inputs.back().place();
  txn.operations.push_back(Operation::put(merged_key, encode(merged_key, merged)));
  WEIR_CO_TRY_ASSIGN(const Decision decision, co_await detail_->transactor.decide(std::move(txn), Patience::until_decided));
  merged.revision = decision.revision;
  if (decision.succeeded) co_return merged;
  WEIR_CO_TRY_ASSIGN(auto entry, co_await detail_->get_for_certain(merged_key));
  if (entry) {  // an earlier copy was applied: only this merge has the number
    WEIR_CO_TRY_ASSIGN(merged, decode_object(*entry));
    co_return merged;
  }
  WEIR_CO_TRY(co_await detail_->check_live(session_));
  co_return fail(ErrorKind::exists, fmt::format("an input of merge {} is not as it was", merged_key));
}

}  // namespace weir::meta
