// Meta: the cluster record, sessions, and everything read at start.
#include <algorithm>
#include <set>

#include "meta/meta_detail.h"

namespace weir::meta {

using base::ErrorKind;
using base::fail;
using keyspace::Operation;

namespace {
constexpr std::size_t seal_attempts_max = 16;  ///< a former session changes at most a few times: it is not running
}  // namespace

Meta::Meta(runtime::Runtime& runtime, keyspace::Keyspace& keyspace)
    : runtime_(runtime), keyspace_(keyspace), detail_(std::make_unique<Detail>(keyspace)) {}
Meta::~Meta() = default;

void Meta::stop() { detail_->transactor.stop(); }

runtime::Task<base::Result<ClusterRecord>> Meta::open_cluster(model::ClusterId id_if_new) {
  const std::string key(keys::cluster);
  WEIR_CO_TRY_ASSIGN(auto found, co_await detail_->transactor.get(key));
  if (!found) {
    const base::MonoTime deadline = runtime::Reactor::current().now() + attempt_timeout;
    WEIR_CO_TRY_ASSIGN(auto any, co_await keyspace_.range("", "", 1, deadline));
    if (!any.entries.empty()) {
      co_return fail(ErrorKind::corrupt,
                     fmt::format("the keyspace ({}) holds keys ({}, ...) but no cluster record: it is damaged "
                                 "or belongs to something else",
                                 keyspace_.description(), any.entries[0].key));
    }
    ClusterRecord made{.id = id_if_new};
    keyspace::Txn txn{.compares = {{.key = key, .mod_revision = 0}}, .operations = {Operation::put(key, encode(key, made))}};
    WEIR_CO_TRY(co_await detail_->transactor.decide(std::move(txn), Patience::bounded));
    WEIR_CO_TRY_ASSIGN(found, co_await detail_->transactor.get(key));  // ours, or that of a broker that was first
    if (!found) co_return fail(ErrorKind::corrupt, "the cluster record is gone right after it was put");
  }
  WEIR_CO_TRY_ASSIGN(ClusterRecord cluster, decode_cluster(*found));
  if (cluster.format_level < 1 || cluster.format_level > format_level_max) {
    co_return fail(ErrorKind::invalid,
                   fmt::format("the keyspace is at format level {}, this binary knows levels 1 to {}: start a "
                               "weir that is at least as new",
                               cluster.format_level, format_level_max));
  }
  co_return cluster;
}

// own/, start/ and man/ are read before topic/: a partition key whose topic is absent then belongs to a deleted topic, not to one
// that was made between two pages.
runtime::Task<base::Result<Snapshot>> Meta::load() {
  Transactor& transactor = detail_->transactor;
  Snapshot snapshot;
  std::set<model::TopicId> leftovers;

  WEIR_CO_TRY_ASSIGN(auto own, co_await transactor.list(std::string(keys::own_prefix)));
  snapshot.revision = own.revision;
  for (const keyspace::KeyValue& entry : own.entries) {
    const auto partition = keys::parse_partition(keys::rest(entry.key, keys::own_prefix));
    if (!partition) co_return fail(ErrorKind::corrupt, fmt::format("keyspace key {} names no partition", entry.key));
    WEIR_CO_TRY_ASSIGN(snapshot.own[*partition], decode_own(entry));
  }
  WEIR_CO_TRY_ASSIGN(auto starts, co_await transactor.list(std::string(keys::log_start_prefix)));
  for (const keyspace::KeyValue& entry : starts.entries) {
    const auto partition = keys::parse_partition(keys::rest(entry.key, keys::log_start_prefix));
    if (!partition) co_return fail(ErrorKind::corrupt, fmt::format("keyspace key {} names no partition", entry.key));
    WEIR_CO_TRY_ASSIGN(snapshot.log_start[*partition], decode_log_start(entry));
  }
  WEIR_CO_TRY_ASSIGN(auto deletions, co_await transactor.list(std::string(keys::deletion_prefix)));
  for (const keyspace::KeyValue& entry : deletions.entries) {
    const auto topic = keys::parse_id<model::TopicId>(keys::rest(entry.key, keys::deletion_prefix));
    if (!topic) co_return fail(ErrorKind::corrupt, fmt::format("keyspace key {} names no topic", entry.key));
    WEIR_CO_TRY(decode_deletion(entry));
    leftovers.insert(*topic);
  }
  WEIR_CO_TRY_ASSIGN(auto manifests, co_await transactor.list(std::string(keys::manifest_prefix)));
  for (const keyspace::KeyValue& entry : manifests.entries) {
    WEIR_CO_TRY_ASSIGN(ManifestRecord manifest, decode_manifest(entry));
    const model::TopicPartition partition = manifest.partition;
    snapshot.manifests.emplace(partition, std::move(manifest));
  }
  std::set<model::TopicId> present;
  WEIR_CO_TRY_ASSIGN(auto topics, co_await transactor.list(std::string(keys::topic_prefix)));
  for (const keyspace::KeyValue& entry : topics.entries) {
    WEIR_CO_TRY_ASSIGN(TopicRecord topic, decode_topic(entry));
    present.insert(topic.id);
    std::string name = topic.name;
    snapshot.topics.emplace(std::move(name), std::move(topic));
  }
  auto gone = [&](const auto& item) {
    if (present.contains(item.first.topic)) return false;
    leftovers.insert(item.first.topic);
    return true;
  };
  std::erase_if(snapshot.own, gone);
  std::erase_if(snapshot.log_start, gone);
  std::erase_if(snapshot.manifests, gone);
  snapshot.leftovers.assign(leftovers.begin(), leftovers.end());
  WEIR_CO_TRY_ASSIGN(auto configs, co_await transactor.list(std::string(keys::config_prefix)));
  for (const keyspace::KeyValue& entry : configs.entries) {
    WEIR_CO_TRY_ASSIGN(ConfigRecord config, decode_config(entry));
    snapshot.configs.push_back(std::move(config));
  }
  WEIR_CO_TRY(co_await load_sessions_and_objects(&snapshot));
  co_return snapshot;
}

runtime::Task<base::Result<void>> Meta::load_sessions_and_objects(Snapshot* snapshot) {
  Transactor& transactor = detail_->transactor;
  std::map<model::SessionId, std::uint32_t> segment_counts;
  WEIR_CO_TRY_ASSIGN(auto sessions, co_await transactor.list(std::string(keys::session_prefix)));
  WEIR_CO_TRY_ASSIGN(auto segments, co_await transactor.list(std::string(keys::segments_prefix)));
  for (const keyspace::KeyValue& entry : segments.entries) {
    const auto id = keys::parse_id<model::SessionId>(keys::rest(entry.key, keys::segments_prefix));
    if (!id) co_return fail(ErrorKind::corrupt, fmt::format("keyspace key {} names no session", entry.key));
    WEIR_CO_TRY_ASSIGN(segment_counts[*id], decode_segments(entry));
  }
  for (const keyspace::KeyValue& entry : sessions.entries) {
    WEIR_CO_TRY_ASSIGN(SessionRecord session, decode_session(entry));
    if (const auto count = segment_counts.find(session.id); count != segment_counts.end())
      session.segment_count = count->second;
    snapshot->sessions.push_back(session);
  }
  WEIR_CO_TRY_ASSIGN(snapshot->objects, co_await list_objects());
  WEIR_CO_TRY_ASSIGN(snapshot->garbage, co_await list_garbage());
  co_return base::Result<void>();
}

// state live or sealing -> sealed. From the moment this succeeds the session can neither commit nor own anything new.
runtime::Task<base::Result<void>> Meta::seal_former(SessionRecord former) {
  const std::string key = keys::session(former.id);
  for (std::size_t attempt = 0; attempt < seal_attempts_max; ++attempt) {
    WEIR_CO_TRY_ASSIGN(auto entry, co_await detail_->transactor.get(key));
    if (!entry) co_return base::Result<void>();
    WEIR_CO_TRY_ASSIGN(SessionRecord current, decode_session(*entry));
    if (current.state == SessionState::sealed) co_return base::Result<void>();
    if (current.node != former.node) {
      co_return fail(ErrorKind::invalid, fmt::format("session {} belongs to node {}, not to node {}", former.id.to_string(),
                                                     current.node.value(), former.node.value()));
    }
    current.state = SessionState::sealed;
    keyspace::Txn txn{.compares = {{.key = key, .mod_revision = entry->mod_revision}},
                      .operations = {Operation::put(key, encode(key, current))}};
    WEIR_CO_TRY_ASSIGN(Decision decision, co_await detail_->transactor.decide(std::move(txn), Patience::bounded));
    if (decision.succeeded) co_return base::Result<void>();
  }
  co_return fail(ErrorKind::retry, fmt::format("session {} changes while it is being sealed", former.id.to_string()));
}

runtime::Task<base::Result<void>> Meta::begin_session(SessionRecord session, std::vector<SessionRecord> former) {
  ENSURE(session_.revision == 0, "a broker has one session for its life");
  ENSURE(session.state == SessionState::live && !session.id.is_zero() && session.segment_count == 0,
         "a session begins live and without segments");
  for (const SessionRecord& one : former) WEIR_CO_TRY(co_await seal_former(one));
  const std::string key = keys::session(session.id);
  const std::string value = encode(key, session);
  keyspace::Txn txn{.compares = {{.key = key, .mod_revision = 0}, {.key = keys::commit(session.id), .mod_revision = 0}},
                    .operations = {Operation::put(key, value)}};
  WEIR_CO_TRY_ASSIGN(Decision decision, co_await detail_->transactor.decide(std::move(txn), Patience::bounded));
  session.revision = decision.revision;
  if (!decision.succeeded) {
    WEIR_CO_TRY_ASSIGN(auto entry, co_await detail_->transactor.get(key));
    if (!decision.was_ambiguous || !entry || entry->value != value) {
      co_return fail(ErrorKind::exists, fmt::format("session {} was used before", session.id.to_string()));
    }
    session.revision = entry->mod_revision;
  }
  session_ = session;
  co_return base::Result<void>();
}

runtime::Task<base::Result<void>> Meta::register_segments(std::uint32_t segment_count) {
  ENSURE(segment_count > segment_count_, "segments are registered upwards: {} after {}", segment_count, segment_count_);
  const std::string key = keys::segments(session_.id);
  keyspace::Txn txn = Detail::fenced_txn(session_);
  txn.compares.push_back({.key = key, .mod_revision = segments_revision_});
  txn.operations.push_back(Operation::put(key, encode_segments(key, segment_count)));
  WEIR_CO_TRY_ASSIGN(Decision decision, co_await detail_->transactor.decide(std::move(txn), Patience::bounded));
  if (!decision.succeeded) {
    WEIR_CO_TRY_ASSIGN(auto entry, co_await detail_->transactor.get(key));
    const base::Result<std::uint32_t> registered = entry ? decode_segments(*entry) : base::Result<std::uint32_t>(0U);
    if (!registered) co_return std::unexpected(registered.error());
    if (entry) {
      segments_revision_ = entry->mod_revision;
      segment_count_ = *registered;
    }
    if (*registered != segment_count) {
      WEIR_CO_TRY(co_await detail_->check_live(session_));
      // An earlier call whose outcome stayed unknown was applied meanwhile: its revision is known now, so try again.
      if (*registered < segment_count)
        co_return fail(ErrorKind::retry, "an earlier registration of segments was decided only now");
    }
    co_return base::Result<void>();
  }
  segments_revision_ = decision.revision;
  segment_count_ = segment_count;
  co_return base::Result<void>();
}

runtime::Task<base::Result<void>> Meta::drop_session(model::SessionId session) {
  keyspace::Txn txn = Detail::fenced_txn(session_);
  const std::string key = keys::session(session);
  if (session != session_.id) {
    WEIR_CO_TRY_ASSIGN(auto entry, co_await detail_->transactor.get(key));
    if (entry) {
      WEIR_CO_TRY_ASSIGN(SessionRecord record, decode_session(*entry));
      if (record.state != SessionState::sealed) {
        co_return fail(ErrorKind::invalid, fmt::format("session {} is not sealed", session.to_string()));
      }
      txn.compares.push_back({.key = key, .mod_revision = entry->mod_revision});
    }
  }
  // com/S goes too: k is only compared while its session lives, and a session id is never used again.
  txn.operations = {Operation::erase(key), Operation::erase(keys::segments(session)), Operation::erase(keys::commit(session))};
  WEIR_CO_TRY_ASSIGN(Decision decision, co_await detail_->transactor.decide(std::move(txn), Patience::bounded));
  if (decision.succeeded) co_return base::Result<void>();
  WEIR_CO_TRY_ASSIGN(auto left, co_await detail_->transactor.get(key));
  if (!left && decision.was_ambiguous) co_return base::Result<void>();
  WEIR_CO_TRY(co_await detail_->check_live(session_));
  if (!left) co_return base::Result<void>();
  co_return fail(ErrorKind::exists, fmt::format("session {} changed while it was being dropped", session.to_string()));
}

runtime::Task<base::Result<bool>> Meta::session_live() {
  auto live = co_await detail_->check_live(session_);
  if (live) co_return true;
  if (live.kind() == ErrorKind::fenced) co_return false;
  co_return std::unexpected(std::move(live).error());
}

}  // namespace weir::meta
