#include "groups/coordinator.h"

#include <algorithm>
#include <cstdlib>

#include "base/ensure.h"
#include "runtime/submit.h"

namespace weir::groups {

using runtime::Task;

Options options_from(const config::Settings& settings) {
  const auto ms = [&](std::string_view name) { return std::chrono::milliseconds(settings.integer(name)); };
  Options options;
  options.limits.session_timeout_min_ms = static_cast<std::int32_t>(settings.integer("group.min.session.timeout.ms"));
  options.limits.session_timeout_max_ms = static_cast<std::int32_t>(settings.integer("group.max.session.timeout.ms"));
  options.limits.initial_rebalance_delay_ms = static_cast<std::int32_t>(settings.integer("group.initial.rebalance.delay.ms"));
  options.limits.size_max = static_cast<std::size_t>(settings.integer("group.max.size"));
  options.limits.metadata_length_max = static_cast<std::size_t>(settings.integer("offset.metadata.max.bytes"));
  options.limits.offsets_retention_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::minutes(settings.integer("offsets.retention.minutes")))
          .count();
  options.commit_timeout = ms("offsets.commit.timeout.ms");
  options.retention_check = ms("offsets.retention.check.interval.ms");
  options.load_bytes = static_cast<std::uint32_t>(settings.integer("offsets.load.buffer.size"));
  options.compression = static_cast<model::CompressionType>(settings.integer("offsets.topic.compression.codec"));
  return options;
}

namespace {

// Java's String.hashCode: s[0]*31^(n-1) + ... over UTF-16 units, in 32 bits. Bytes that are not UTF-8 count as one unit each.
std::int32_t java_hash(std::string_view text) {
  std::uint32_t hash = 0;
  const auto add = [&](std::uint32_t unit) { hash = hash * 31U + unit; };
  for (std::size_t at = 0; at < text.size();) {
    const auto lead = static_cast<std::uint8_t>(text[at]);
    const std::size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (length == 1 || at + length > text.size()) {
      add(lead);
      ++at;
      continue;
    }
    constexpr std::uint32_t lead_mask[] = {0, 0, 0x1F, 0x0F, 0x07};
    std::uint32_t code = lead & lead_mask[length];
    for (std::size_t i = 1; i < length; ++i) code = (code << 6U) | (static_cast<std::uint8_t>(text[at + i]) & 0x3FU);
    if (code >= 0x10000) {
      add(0xD800 + ((code - 0x10000) >> 10U));
      add(0xDC00 + ((code - 0x10000) & 0x3FFU));
    } else {
      add(code);
    }
    at += length;
  }
  return static_cast<std::int32_t>(hash);
}

}  // namespace

std::int32_t partition_of(std::string_view group, std::int32_t partition_count) {
  const std::int32_t hash = java_hash(group);
  return (hash == INT32_MIN ? 0 : std::abs(hash)) % partition_count;
}

// One shard's partitions; all on its own reactor.
struct Coordinator::ShardPart {
  explicit ShardPart(Doors& shared) : doors(shared) {}
  Doors& doors;
  std::map<std::int32_t, std::shared_ptr<Partition>> partitions;  ///< requests under way hold theirs
  std::unique_ptr<runtime::Scope> scope = std::make_unique<runtime::Scope>();
  bool stopping = false;
  bool ending_waits = false;

  /// Null when the coordinator stops. A partition of a topic that was deleted and created anew replaces the old one.
  std::shared_ptr<Partition> open(const model::TopicPartition& id) {
    if (stopping) return nullptr;
    auto& slot = partitions[id.partition.value()];
    if (slot && slot->id() == id) return slot;
    if (slot) scope->spawn("old groups", retire(std::move(slot)));
    slot = std::make_shared<Partition>(doors, id);
    slot->start();
    if (ending_waits) slot->end_waits();
    return slot;
  }
  static Task<void> retire(std::shared_ptr<Partition> old) { co_await old->stop(); }

  Task<void> check_retention() {
    while (co_await runtime::sleep_for(doors.options.retention_check, &scope->stop_token()) != runtime::Wake::stopped) {
      co_await expire();
    }
  }
  [[nodiscard]] std::vector<std::shared_ptr<Partition>> all() const {
    std::vector<std::shared_ptr<Partition>> out;
    for (const auto& [index, partition] : partitions) out.push_back(partition);
    return out;
  }
  Task<void> expire() {
    for (const std::shared_ptr<Partition>& partition : all()) {
      if (stopping) co_return;
      co_await partition->expire();
    }
  }
  Task<void> topic_deleted(std::string topic) {
    for (const std::shared_ptr<Partition>& partition : all()) {
      if (stopping) co_return;
      co_await partition->topic_deleted(topic);
    }
  }
  void end_waits() {
    ending_waits = true;
    for (const auto& [index, partition] : partitions) partition->end_waits();
  }
  Task<void> stop() {
    stopping = true;
    for (const std::shared_ptr<Partition>& partition : all()) co_await partition->stop();
    co_await scope->stop();
  }
};

Coordinator::Coordinator(runtime::Runtime& runtime, log::Log& log, meta::TopicTable& topics, Options options)
    : runtime_(runtime),
      log_(log),
      topics_(topics),
      cells_(*runtime.metrics),
      doors_{.runtime = runtime, .log = log, .options = options, .cells = cells_} {
  for (std::size_t i = 0; i < runtime.shards.size(); ++i) shards_.push_back(std::make_unique<ShardPart>(doors_));
}

Coordinator::~Coordinator() = default;

template <class Fn>
Task<void> Coordinator::on_all_shards(Fn fn) {
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    co_await runtime::submit_to(*runtime_.shards[i], [part = shards_[i].get(), fn]() { return fn(*part); });
  }
}

Task<void> Coordinator::start(base::MonoTime deadline) {
  co_await on_all_shards([](ShardPart& part) { part.scope->spawn("offset retention", part.check_retention()); });
  co_await open_partitions(deadline);
}

Task<void> Coordinator::end_waits() {
  co_await on_all_shards([](ShardPart& part) { part.end_waits(); });
}

Task<void> Coordinator::stop() {
  co_await on_all_shards([](ShardPart& part) { return part.stop(); });
}

Task<void> Coordinator::open_partitions(base::MonoTime deadline) {
  const auto topic = topics_.current()->by_name(topic_name);
  if (topic == nullptr) co_return;
  for (std::int32_t i = 0; i < topic->record.partition_count; ++i) {
    const model::TopicPartition id{.topic = topic->record.id, .partition = model::PartitionIndex(i)};
    const std::uint32_t shard = log_.home(id).value();
    co_await runtime::submit_to(*runtime_.shards[shard], [part = shards_[shard].get(), id]() { (void)part->open(id); });
  }
  co_await on_all_shards([deadline](ShardPart& part) -> Task<void> {
    return [](ShardPart* shard, base::MonoTime until) -> Task<void> {
      for (const std::shared_ptr<Partition>& partition : shard->all()) co_await partition->wait_loaded(until);
    }(&part, deadline);
  });
}

std::optional<Coordinator::Home> Coordinator::home_of(std::string_view group) const {
  const auto topic = topics_.current()->by_name(topic_name);
  if (topic == nullptr || topic->record.partition_count < 1) return std::nullopt;
  const model::TopicPartition id{.topic = topic->record.id,
                                 .partition = model::PartitionIndex(partition_of(group, topic->record.partition_count))};
  return Home{.shard = log_.home(id), .partition = id};
}

template <class A, class Fn>
Task<A> Coordinator::at_home(std::string group, Fn fn) {
  const std::optional<Home> home = home_of(group);
  if (!home) {
    A none;
    none.error = Errc::not_coordinator;
    co_return none;
  }
  ShardPart* part = shards_[home->shard.value()].get();
  // The lambda makes the task; it is no coroutine itself. What it captures lives until the task has ended (submit_to).
  co_return co_await runtime::submit_to(*runtime_.shards[home->shard.value()],
                                        [part, id = home->partition, group = std::move(group), fn = std::move(fn),
                                         partition = std::shared_ptr<Partition>()]() mutable -> Task<A> {
                                          partition = part->open(id);
                                          if (partition == nullptr) {
                                            return []() -> Task<A> {
                                              A none;
                                              none.error = Errc::not_coordinator;
                                              co_return none;
                                            }();
                                          }
                                          return fn(*partition, std::move(group));
                                        });
}

Task<JoinAnswer> Coordinator::join(std::string group, Join request) {
  if (group.empty()) co_return JoinAnswer{.error = Errc::invalid_group_id, .member_id = request.member_id};
  const Limits& limits = doors_.options.limits;
  if (request.session_timeout_ms < limits.session_timeout_min_ms ||
      request.session_timeout_ms > limits.session_timeout_max_ms) {
    co_return JoinAnswer{.error = Errc::invalid_session_timeout, .member_id = request.member_id};
  }
  const std::string member = request.member_id;
  auto answer = co_await at_home<JoinAnswer>(std::move(group),
                                             [request = std::move(request)](Partition& partition, std::string id) mutable {
                                               return partition.join(std::move(id), std::move(request));
                                             });
  if (answer.error != Errc::none && answer.member_id.empty() && answer.error != Errc::group_max_size_reached &&
      answer.error != Errc::unknown_member_id) {
    answer.member_id = member;
  }
  co_return answer;
}

Task<SyncAnswer> Coordinator::sync(std::string group, Sync request) {
  if (group.empty()) co_return SyncAnswer{.error = Errc::invalid_group_id};
  co_return co_await at_home<SyncAnswer>(std::move(group),
                                         [request = std::move(request)](Partition& partition, std::string id) mutable {
                                           return partition.sync(std::move(id), std::move(request));
                                         });
}

Task<PlainAnswer> Coordinator::heartbeat(std::string group, Heartbeat request) {
  if (group.empty()) co_return PlainAnswer{.error = Errc::invalid_group_id};
  co_return co_await at_home<PlainAnswer>(std::move(group),
                                          [request = std::move(request)](Partition& partition, std::string id) mutable {
                                            return partition.heartbeat(std::move(id), std::move(request));
                                          });
}

Task<ListAnswer> Coordinator::leave(std::string group, Leave request) {
  if (group.empty()) co_return ListAnswer{.error = Errc::invalid_group_id};
  co_return co_await at_home<ListAnswer>(std::move(group),
                                         [request = std::move(request)](Partition& partition, std::string id) mutable {
                                           return partition.leave(std::move(id), std::move(request));
                                         });
}

Task<ListAnswer> Coordinator::commit(std::string group, Commit request, bool knows_not_found) {
  co_return co_await at_home<ListAnswer>(
      std::move(group), [request = std::move(request), knows_not_found](Partition& partition, std::string id) mutable {
        return partition.commit(std::move(id), std::move(request), knows_not_found);
      });
}

namespace {
template <class A>
Task<A> ready(A value) {
  co_return value;
}
}  // namespace

Task<OffsetAnswer> Coordinator::offsets(std::string group, OffsetQuestion question) {
  co_return co_await at_home<OffsetAnswer>(std::move(group),
                                           [question = std::move(question)](Partition& partition, std::string id) {
                                             return ready(partition.offsets(id, question));
                                           });
}

Task<ListAnswer> Coordinator::remove_offsets(std::string group, std::vector<TopicIndex> offsets) {
  if (group.empty()) co_return ListAnswer{.error = Errc::invalid_group_id};
  co_return co_await at_home<ListAnswer>(std::move(group),
                                         [offsets = std::move(offsets)](Partition& partition, std::string id) mutable {
                                           return partition.remove_offsets(std::move(id), std::move(offsets));
                                         });
}

Task<void> Coordinator::topic_deleted(std::string topic) {
  co_await on_all_shards([topic](ShardPart& part) { return part.topic_deleted(topic); });
}

Task<Description> Coordinator::describe(std::string group) {
  co_return co_await at_home<Description>(std::move(group),
                                          [](Partition& partition, std::string id) { return ready(partition.describe(id)); });
}

Task<Coordinator::List> Coordinator::list() {
  List list;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    List part = co_await runtime::submit_to(*runtime_.shards[i], [shard = shards_[i].get()] {
      List here;
      for (const std::shared_ptr<Partition>& partition : shard->all()) {
        here.loading = here.loading || partition->loading();
        partition->list(here.groups);
      }
      return here;
    });
    list.loading = list.loading || part.loading;
    std::ranges::move(part.groups, std::back_inserter(list.groups));
  }
  co_return list;
}

Task<PlainAnswer> Coordinator::remove(std::string group) {
  co_return co_await at_home<PlainAnswer>(std::move(group),
                                          [](Partition& partition, std::string id) { return partition.remove(std::move(id)); });
}

Task<void> Coordinator::expire() {
  co_await on_all_shards([](ShardPart& part) { return part.expire(); });
}

}  // namespace weir::groups
