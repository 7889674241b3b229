// Meta: topics and producer ids.
#include "meta/meta_detail.h"

namespace weir::meta {

using base::ErrorKind;
using base::fail;
using keyspace::Operation;

namespace {
constexpr std::size_t block_attempts_max = 64;  ///< lost compares of allocate_producer_ids(): other brokers take blocks too
}  // namespace

runtime::Task<base::Result<TopicRecord>> Meta::create_topic(TopicRecord topic) {
  ENSURE(!topic.name.empty() && !topic.id.is_zero() && topic.partition_count >= 1,
         "a topic needs a name, an id and partitions");
  ENSURE(topic.assignments.empty() || topic.assignments.size() == static_cast<std::size_t>(topic.partition_count),
         "{} assignments for {} partitions", topic.assignments.size(), topic.partition_count);
  const std::string key = keys::topic(topic.name);
  WEIR_CO_TRY_ASSIGN(const std::string value, value_that_fits(encode(key, topic), "the topic"));
  keyspace::Txn txn = Detail::fenced_txn(session_);
  txn.compares.push_back({.key = key, .mod_revision = 0});
  txn.operations.push_back(Operation::put(key, value));
  WEIR_CO_TRY_ASSIGN(Decision decision, co_await detail_->transactor.decide(std::move(txn), Patience::bounded));
  topic.revision = decision.revision;
  if (decision.succeeded) co_return topic;
  WEIR_CO_TRY_ASSIGN(auto entry, co_await detail_->transactor.get(key));
  if (entry && entry->value == value && decision.was_ambiguous) {  // the id in it makes the value ours alone
    topic.revision = entry->mod_revision;
    co_return topic;
  }
  WEIR_CO_TRY(co_await detail_->check_live(session_));
  if (entry) co_return fail(ErrorKind::exists, fmt::format("topic '{}' exists already", topic.name));
  co_return fail(ErrorKind::unknown_outcome, fmt::format("topic '{}' came and went while it was being created", topic.name));
}

runtime::Task<base::Result<TopicRecord>> Meta::update_topic(TopicRecord topic) {
  ENSURE(topic.revision > 0, "update_topic() replaces a record that was read");
  const std::string key = keys::topic(topic.name);
  WEIR_CO_TRY_ASSIGN(const std::string value, value_that_fits(encode(key, topic), "the topic"));
  keyspace::Txn txn = Detail::fenced_txn(session_);
  txn.compares.push_back({.key = key, .mod_revision = topic.revision});
  txn.operations.push_back(Operation::put(key, value));
  WEIR_CO_TRY_ASSIGN(Decision decision, co_await detail_->transactor.decide(std::move(txn), Patience::bounded));
  topic.revision = decision.revision;
  if (decision.succeeded) co_return topic;
  WEIR_CO_TRY_ASSIGN(auto entry, co_await detail_->transactor.get(key));
  if (entry && entry->value == value && decision.was_ambiguous) {
    topic.revision = entry->mod_revision;
    co_return topic;
  }
  WEIR_CO_TRY(co_await detail_->check_live(session_));
  if (!entry) co_return fail(ErrorKind::not_found, fmt::format("topic '{}' was deleted", topic.name));
  co_return fail(ErrorKind::exists, fmt::format("topic '{}' was changed by somebody else", topic.name));
}

// 1. topic/NAME goes and del/T comes, in one txn: from here on the topic does not exist. 2. own/T/*, start/T/*, man/T/* are erased.
// 3. del/T is erased. A crash after 1 is taken up by resume_deletions().
runtime::Task<base::Result<void>> Meta::delete_topic(TopicRecord topic) {
  const std::string key = keys::topic(topic.name);
  const std::string marker = keys::deletion(topic.id);
  keyspace::Txn txn = Detail::fenced_txn(session_);
  txn.compares.push_back({.key = key, .mod_revision = topic.revision});
  txn.operations.push_back(Operation::erase(key));
  txn.operations.push_back(
      Operation::put(marker, encode(marker, DeletionRecord{.name = topic.name, .partition_count = topic.partition_count})));
  WEIR_CO_TRY_ASSIGN(Decision decision, co_await detail_->transactor.decide(std::move(txn), Patience::bounded));
  if (!decision.succeeded) {
    WEIR_CO_TRY_ASSIGN(auto marked, co_await detail_->transactor.get(marker));
    if (!marked) {
      WEIR_CO_TRY(co_await detail_->check_live(session_));
      WEIR_CO_TRY_ASSIGN(auto entry, co_await detail_->transactor.get(key));
      if (!entry) co_return fail(ErrorKind::not_found, fmt::format("topic '{}' is deleted already", topic.name));
      co_return fail(ErrorKind::exists, fmt::format("topic '{}' was changed by somebody else", topic.name));
    }
  }
  auto erased = co_await detail_->erase_topic_keys(session_, topic.id);
  if (!erased && (erased.kind() == ErrorKind::retry || erased.kind() == ErrorKind::unknown_outcome)) {
    runtime_.log->warn("meta", "keys of a deleted topic are left to the next start",
                       {{"topic", topic.name}, {"id", topic.id.to_string()}, {"why", erased.error().text}});
    co_return base::Result<void>();
  }
  co_return erased;
}

runtime::Task<base::Result<std::optional<TopicRecord>>> Meta::find_topic(std::string name) {
  const std::string key = keys::topic(name);
  WEIR_CO_TRY_ASSIGN(auto entry, co_await detail_->transactor.get(key));
  if (!entry) co_return std::optional<TopicRecord>();
  WEIR_CO_TRY_ASSIGN(TopicRecord topic, decode_topic(*entry));
  co_return std::optional<TopicRecord>(std::move(topic));
}

runtime::Task<base::Result<void>> Meta::resume_deletions(std::vector<model::TopicId> leftovers) {
  for (const model::TopicId& topic : leftovers) WEIR_CO_TRY(co_await detail_->erase_topic_keys(session_, topic));
  co_return base::Result<void>();
}

runtime::Task<base::Result<void>> Meta::Detail::erase_topic_keys(SessionRecord session, model::TopicId topic) {
  WEIR_CO_TRY(co_await erase_all(session, keys::own_of(topic)));
  WEIR_CO_TRY(co_await erase_all(session, keys::log_start_of(topic)));
  WEIR_CO_TRY(co_await erase_all(session, keys::manifest_of(topic)));
  co_return co_await erase_all(session, keys::deletion(topic));
}

runtime::Task<base::Result<void>> Meta::Detail::erase_all(SessionRecord session, std::string prefix) {
  WEIR_CO_TRY_ASSIGN(auto all, co_await transactor.list(prefix));
  for (std::size_t at = 0; at < all.entries.size();) {
    keyspace::Txn txn = fenced_txn(session);
    for (std::size_t n = 0; n < keyspace::txn_operations_max - 8 && at < all.entries.size(); ++n, ++at) {
      txn.operations.push_back(Operation::erase(std::move(all.entries[at].key)));
    }
    // Only the session can refuse this; a second copy erases what is gone already.
    WEIR_CO_TRY_ASSIGN(Decision decision, co_await transactor.decide(std::move(txn), Patience::bounded));
    if (!decision.succeeded) { co_return fail(ErrorKind::fenced, fmt::format("session {} is sealed", session.id.to_string())); }
  }
  co_return base::Result<void>();
}

runtime::Task<base::Result<model::ProducerId>> Meta::allocate_producer_ids(std::int64_t count) {
  ENSURE(count >= 1, "a block of {} producer ids", count);
  const std::string key(keys::producer_ids);
  for (std::size_t attempt = 0; attempt < block_attempts_max; ++attempt) {
    WEIR_CO_TRY_ASSIGN(auto entry, co_await detail_->transactor.get(key));
    model::ProducerId first{0};
    keyspace::Txn txn = Detail::fenced_txn(session_);
    txn.compares.push_back({.key = key, .mod_revision = entry ? entry->mod_revision : 0});
    if (entry) { WEIR_CO_TRY_ASSIGN(first, decode_producer_ids(*entry)); }
    if (first.value() > std::numeric_limits<std::int64_t>::max() - count) {
      co_return fail(ErrorKind::exhausted, "all 2^63 producer ids are given");
    }
    txn.operations.push_back(Operation::put(key, encode_producer_ids(key, first + count)));
    WEIR_CO_TRY_ASSIGN(Decision decision, co_await detail_->transactor.decide(std::move(txn), Patience::bounded));
    if (decision.succeeded) co_return first;
    // Refused: somebody else took the block, or an ambiguous copy of ours did. The value does not tell whose it was, so the
    // block counts as given and the next one is asked for.
    WEIR_CO_TRY(co_await detail_->check_live(session_));
  }
  co_return fail(ErrorKind::retry, fmt::format("{} other requests for producer ids came first", block_attempts_max));
}

}  // namespace weir::meta
