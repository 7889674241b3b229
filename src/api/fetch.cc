// api/fetch.cc: Fetch (1): batches from partitions, in the order of the session, waiting for min_bytes when there is less.
#include "wire/fetch.h"

#include <algorithm>

#include "api/access.h"
#include "api/errors.h"
#include "api/fetch_session.h"
#include "api/handler.h"
#include "runtime/when_all.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using runtime::Task;
using Request = wire::FetchRequest;
using Response = wire::FetchResponse;

constexpr std::int16_t topic_ids_version_min = 13;
constexpr std::size_t reads_side_by_side_max = 32;  // partitions read at once; the byte budget is looked at in between

/// One partition of the fetch, resolved and read.
struct Item {
  const FetchPartition* wanted = nullptr;
  model::TopicPartition partition;
  ErrorCode error = ErrorCode::none;
  log::ReadOutcome read;
};

std::vector<FetchPartition> partitions_of(const Request& request) {
  std::vector<FetchPartition> partitions;
  for (const Request::Topic& topic : request.topics) {
    for (const Request::Partition& partition : topic.partitions) {
      partitions.push_back({.key = {.topic_id = topic.topic_id,
                                    .topic_name = std::string(topic.topic),
                                    .partition = partition.partition.value()},
                            .fetch_offset = partition.fetch_offset.value(),
                            .max_bytes = partition.partition_max_bytes,
                            .current_leader_epoch = partition.current_leader_epoch.value(),
                            .last_fetched_epoch = partition.last_fetched_epoch.value(),
                            .log_start_offset = partition.log_start_offset.value()});
    }
  }
  return partitions;
}

std::vector<FetchKey> forgotten_of(const Request& request) {
  std::vector<FetchKey> keys;
  for (const Request::ForgottenTopic& topic : request.forgotten_topics_data) {
    for (const model::PartitionIndex partition : topic.partitions) {
      keys.push_back({.topic_id = topic.topic_id, .topic_name = std::string(topic.topic), .partition = partition.value()});
    }
  }
  return keys;
}

// A follower needs only the right to the cluster's own actions; whoever else reads needs it for each topic.
enum class Reader : std::uint8_t { consumer, follower, refused_follower };

void resolve(const Call& call, bool by_id, Reader reader, Item& item) {
  const FetchKey& key = item.wanted->key;
  const meta::TopicViewPtr view = call.services.topics.current();
  const meta::TopicEntryPtr entry = by_id ? view->by_id(key.topic_id) : view->by_name(key.topic_name);
  const auto may_read = [&] {
    if (reader != Reader::consumer) return reader == Reader::follower;
    return allowed_on_topic(call, security::Operation::read, entry == nullptr ? key.topic_name : entry->record.name);
  };
  // Ids are no secret; whether a name exists is one.
  if (entry == nullptr && by_id && reader != Reader::refused_follower) {
    item.error = ErrorCode::unknown_topic_id;
  } else if (!may_read()) {
    item.error = ErrorCode::topic_authorization_failed;
  } else if (entry == nullptr) {
    item.error = ErrorCode::unknown_topic_or_partition;
  } else if (key.partition < 0 || key.partition >= entry->record.partition_count) {
    item.error = ErrorCode::unknown_topic_or_partition;
  } else {
    item.partition = {.topic = entry->record.id, .partition = model::PartitionIndex(key.partition)};
  }
}

void judge(Item& item) {
  item.error = fetch_error(item.read.error);
  const std::int32_t known = item.wanted->current_leader_epoch;
  if (known >= 0 && item.read.epoch.value() >= 0 && item.read.error != log::Errc::unknown_partition) {
    if (known < item.read.epoch.value()) item.error = ErrorCode::fenced_leader_epoch;
    if (known > item.read.epoch.value()) item.error = ErrorCode::unknown_leader_epoch;
  }
  if (item.error != ErrorCode::none) {
    item.read.batches.clear();
    item.read.size_bytes = 0;
  }
}

Task<log::ReadOutcome> read_nothing() { co_return log::ReadOutcome{}; }

// Reads all items within the byte budget. The first batch of all goes even when it is larger, so that a consumer can get past it.
Task<std::uint64_t> read_all(Call& call, std::vector<Item>& items, std::uint64_t budget_bytes, log::Isolation isolation,
                             base::MonoTime deadline) {
  std::uint64_t total = 0;
  for (std::size_t from = 0; from < items.size(); from += reads_side_by_side_max) {
    const std::size_t to = std::min(items.size(), from + reads_side_by_side_max);
    std::vector<Task<log::ReadOutcome>> reads;
    for (std::size_t i = from; i < to; ++i) {
      if (items[i].partition.topic.is_zero()) {
        reads.push_back(read_nothing());
        continue;
      }
      const std::uint64_t left = budget_bytes > total ? budget_bytes - total : 0;
      const auto max_bytes = static_cast<std::uint32_t>(
          std::min<std::uint64_t>(left, static_cast<std::uint64_t>(std::max(items[i].wanted->max_bytes, 0))));
      reads.push_back(call.services.log.read({.partition = items[i].partition,
                                              .offset = model::Offset(items[i].wanted->fetch_offset),
                                              .max_bytes = max_bytes,
                                              .at_least_one = total == 0,
                                              .isolation = isolation,
                                              .current_epoch = model::LeaderEpoch(items[i].wanted->current_leader_epoch),
                                              .deadline = deadline}));
    }
    std::vector<log::ReadOutcome> outcomes = co_await runtime::when_all(std::move(reads));
    for (std::size_t i = from; i < to; ++i) {
      if (items[i].partition.topic.is_zero()) continue;
      items[i].read = std::move(outcomes[i - from]);
      judge(items[i]);
      // Reads that ran side by side may together pass the budget: what is over waits for the next fetch.
      if (total > 0 && total + items[i].read.size_bytes > budget_bytes) {
        items[i].read.batches.clear();
        items[i].read.size_bytes = 0;
      }
      total += items[i].read.size_bytes;
    }
  }
  co_return total;
}

// Waits for min_bytes as Kafka's delayed fetch: until there is enough, an error, or the time is up.
Task<void> read_or_wait(Call& call, std::vector<Item>& items, const Request& request) {
  runtime::Reactor& reactor = runtime::Reactor::current();
  const base::MonoTime begin = reactor.now();
  const base::MonoTime wait_until = begin + std::chrono::milliseconds(std::max(request.max_wait_ms, 0));
  const base::MonoTime deadline = std::max(wait_until, begin + call.services.limits.timeout_max);
  const auto isolation = request.isolation_level == 1 ? log::Isolation::read_committed : log::Isolation::read_uncommitted;
  const auto budget =
      static_cast<std::uint64_t>(std::clamp<std::int64_t>(request.max_bytes, 0, call.services.limits.fetch_bytes_max));
  const auto enough = static_cast<std::uint64_t>(std::max(request.min_bytes, 0));
  for (;;) {
    const std::uint64_t total = co_await read_all(call, items, budget, isolation, deadline);
    const bool failed = std::ranges::any_of(items, [](const Item& item) { return item.error != ErrorCode::none; });
    if (total >= enough || failed || items.empty() || reactor.now() >= wait_until || call.state.closing->requested()) co_return;
    // Waits for what comes after what was read: readable bytes that a size limit held back would end the wait at once, and the
    // next read would be cut at the same place, over and over. With such bytes there, waiting cannot help: the answer goes out.
    std::vector<log::Log::WaitPosition> positions;
    for (const Item& item : items) {
      const model::Offset limit =
          isolation == log::Isolation::read_committed ? item.read.last_stable_offset : item.read.high_watermark;
      const model::Offset next = item.read.batches.empty() ? model::Offset(item.wanted->fetch_offset) : item.read.end;
      if (total > 0 && next < limit) co_return;
      positions.push_back({.partition = item.partition, .offset = next, .isolation = isolation});
    }
    const runtime::Wake wake =
        co_await call.services.log.wait_readable(std::move(positions), enough - total, wait_until, call.state.closing);
    if (wake == runtime::Wake::stopped) co_return;
  }
}

Response::Partition to_wire(Item& item, log::Isolation isolation) {
  Response::Partition out;
  out.partition_index = model::PartitionIndex(item.wanted->key.partition);
  out.error_code = item.error;
  out.records = wire::Records::empty();
  out.high_watermark = model::Offset(-1);
  out.aborted_transactions.reset();
  if (item.partition.topic.is_zero())
    out.aborted_transactions.emplace();  // never got as far as a log: Kafka says "none", not null
  if (item.error != ErrorCode::none) return out;
  out.high_watermark = item.read.high_watermark;
  out.last_stable_offset = item.read.last_stable_offset;
  out.log_start_offset = item.read.log_start;
  if (isolation == log::Isolation::read_committed) {
    out.aborted_transactions.emplace();
    for (const object::AbortedSpan& span : item.read.aborted) {
      out.aborted_transactions->push_back({.producer_id = span.producer_id, .first_offset = span.first, .unknown_tags = {}});
    }
  }
  if (!item.read.batches.empty()) out.records = wire::Records(std::move(item.read.batches));
  return out;
}

ErrorCode session_error(FetchSessionError error) {
  switch (error) {
    case FetchSessionError::none: return ErrorCode::none;
    case FetchSessionError::id_not_found: return ErrorCode::fetch_session_id_not_found;
    case FetchSessionError::invalid_epoch: return ErrorCode::invalid_fetch_session_epoch;
    case FetchSessionError::topic_id_mismatch: return ErrorCode::fetch_session_topic_id_error;
  }
  return ErrorCode::unknown_server_error;
}

}  // namespace

runtime::Task<Reply> handle_fetch(Call call) {
  auto request = decode_body<Request>(call);
  if (!request) co_return close_reply(request.error().text);
  Response response;
  Reader reader = Reader::consumer;
  if (request->replica_id.value() >= 0 || request->replica_state.replica_id.value() >= 0) {
    reader = allowed_on_cluster(call, security::Operation::cluster_action) ? Reader::follower : Reader::refused_follower;
  }
  runtime::Reactor& reactor = runtime::Reactor::current();
  const bool by_id = call.ctx.api_version >= topic_ids_version_min;
  FetchSessionCache& sessions = *call.shard.sessions;
  const FetchSessionCache::Fetch fetch =
      sessions.begin(request->session_id, request->session_epoch, by_id, partitions_of(*request), forgotten_of(*request),
                     reactor.now(), reactor.random());
  response.session_id = fetch.session_id;
  if (fetch.error != FetchSessionError::none) {
    response.error_code = session_error(fetch.error);
    response.session_id = 0;
    co_return make_reply(call, response);
  }
  std::vector<Item> items(fetch.partitions.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    items[i].wanted = &fetch.partitions[i];
    resolve(call, by_id, reader, items[i]);
    if (items[i].error == ErrorCode::none) call.state.affinity.touched(call.services.log.home(items[i].partition));
  }
  co_await read_or_wait(call, items, *request);

  std::vector<FetchSeen> seen;
  std::uint64_t bytes_out = 0;
  for (const Item& item : items) {
    seen.push_back({.has_records = item.read.size_bytes > 0,
                    .has_error = item.error != ErrorCode::none,
                    .high_watermark = item.read.high_watermark.value(),
                    .log_start_offset = item.read.log_start.value()});
    bytes_out += item.read.size_bytes;
  }
  const std::vector<bool> include = sessions.finish(fetch, seen);
  const auto isolation = request->isolation_level == 1 ? log::Isolation::read_committed : log::Isolation::read_uncommitted;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!include[i]) continue;
    const FetchKey& key = items[i].wanted->key;
    if (response.responses.empty() || response.responses.back().topic != key.topic_name ||
        response.responses.back().topic_id != key.topic_id) {
      Response::Topic topic;
      topic.topic_id = key.topic_id;
      topic.topic = key.topic_name;
      response.responses.push_back(std::move(topic));
    }
    response.responses.back().partitions.push_back(to_wire(items[i], isolation));
  }
  co_return make_reply(call, response, Charged{bytes_out});
}

}  // namespace weir::api
