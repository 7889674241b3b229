#include "api/topic_admin.h"

#include <memory>
#include <utility>

#include <fmt/core.h>

#include "model/topic_name.h"
#include "runtime/submit.h"

namespace weir::api {

using runtime::Task;

namespace {
constexpr base::Duration groups_open_wait_max = std::chrono::seconds(2);
constexpr base::Duration creation_wait_max = std::chrono::seconds(10);  ///< for one that another request began
constexpr std::size_t change_attempts_max = 4;  ///< of a record that an earlier change of unknown outcome made newer
}  // namespace

Task<base::Result<meta::TopicRecord>> TopicAdmin::create(meta::TopicRecord record) {
  co_return co_await runtime::submit_to(
      *services_.runtime.shards[0], [this, record = std::move(record)]() mutable { return create_here(std::move(record)); });
}

Task<base::Result<meta::TopicRecord>> TopicAdmin::create_here(meta::TopicRecord record) {
  const meta::TopicViewPtr view = services_.topics.current();
  if (view->by_name(record.name) != nullptr) {
    co_return base::fail(base::ErrorKind::exists, fmt::format("Topic '{}' already exists.", record.name));
  }
  if (const auto other = view->colliding(record.name)) {
    co_return base::fail(base::ErrorKind::invalid,
                         fmt::format("Topic '{}' collides with existing topic: {}", record.name, other->record.name));
  }
  if (!creating_.insert(record.name).second) {
    co_return base::fail(base::ErrorKind::exists, fmt::format("Topic '{}' already exists.", record.name));
  }
  const std::string name = record.name;
  auto created = co_await create_alone(std::move(record));
  // A client's first JoinGroup should not meet a coordinator that still opens.
  if (created && name == groups::topic_name) {
    co_await services_.groups.open_partitions(runtime::Reactor::current().now() + groups_open_wait_max);
  }
  creating_.erase(name);
  creation_ended_.pulse();
  co_return created;
}

Task<base::Result<meta::TopicRecord>> TopicAdmin::create_alone(meta::TopicRecord record) {
  runtime::Reactor& reactor = runtime::Reactor::current();
  record.id = model::TopicId{model::Uuid::from_random(reactor.random(), reactor.random())};
  record.created_ms = reactor.wall_now_ms();
  record.internal = model::is_internal_topic(record.name);
  auto created = co_await services_.meta.create_topic(record);
  if (!created && created.kind() == base::ErrorKind::exists) {
    // In the keyspace, yet not in the view: an earlier creation was answered with an unknown outcome, or its partitions could
    // not be added. Serve it now; the client learns that the name is taken.
    auto found = co_await services_.meta.find_topic(record.name);
    if (!found) co_return std::unexpected(found.error());
    if (*found && services_.topics.current()->by_name(record.name) == nullptr) {
      auto served = co_await serve(std::move(**found));
      if (!served) co_return std::unexpected(served.error());
    }
    co_return base::fail(base::ErrorKind::exists, fmt::format("Topic '{}' already exists.", record.name));
  }
  if (!created) co_return std::unexpected(created.error());
  auto served = co_await serve(*created);
  if (!served) co_return std::unexpected(served.error());
  co_return created;
}

Task<base::Result<void>> TopicAdmin::serve(meta::TopicRecord record) {
  const model::TopicConfig config = config::make_topic_config(record.configs, services_.live.current()->settings);
  auto added = co_await services_.log.add_partitions(record, config);
  if (!added) co_return added;
  co_await services_.topics.add({.record = std::move(record), .config = std::make_shared<const model::TopicConfig>(config)});
  co_return base::Result<void>();
}

Task<base::Result<meta::TopicRecord>> TopicAdmin::create_automatically(std::string name) {
  meta::TopicRecord record;
  record.name = name;
  const config::Settings& settings = services_.config.settings;
  if (name == groups::topic_name) {
    record.partition_count = static_cast<std::int32_t>(settings.integer("offsets.topic.num.partitions"));
    record.replication_factor = static_cast<std::int16_t>(settings.integer("offsets.topic.replication.factor"));
    record.configs = {{"cleanup.policy", "compact"},
                      {"compression.type", "producer"},
                      {"segment.bytes", std::to_string(settings.integer("offsets.topic.segment.bytes"))}};
  } else {
    record.partition_count = static_cast<std::int32_t>(settings.integer("num.partitions"));
    record.replication_factor = static_cast<std::int16_t>(settings.integer("default.replication.factor"));
  }
  auto created = co_await create(std::move(record));
  if (created || created.kind() != base::ErrorKind::exists) co_return created;
  co_return co_await wait_created(std::move(name));
}

// Another request was faster. Its client is not told so before this one: two members of a new group that ask at the same time
// would else join a second apart, and the group rebalance once more.
Task<base::Result<meta::TopicRecord>> TopicAdmin::wait_created(std::string name) {
  co_return co_await runtime::submit_to(*services_.runtime.shards[0], [this, name] { return wait_created_here(name); });
}

Task<base::Result<meta::TopicRecord>> TopicAdmin::wait_created_here(std::string name) {
  const base::MonoTime deadline = runtime::Reactor::current().now() + creation_wait_max;
  while (creating_.contains(name)) {
    if (co_await creation_ended_.wait(deadline) == runtime::Wake::timeout) break;
  }
  const auto entry = services_.topics.current()->by_name(name);
  if (entry == nullptr) co_return base::fail(base::ErrorKind::retry, "the topic is being created");
  co_return entry->record;
}

Task<base::Result<void>> TopicAdmin::remove(model::TopicId id) {
  co_return co_await runtime::submit_to(*services_.runtime.shards[0], [this, id] { return remove_here(id); });
}

Task<base::Result<void>> TopicAdmin::remove_here(model::TopicId id) {
  (void)co_await changes_.acquire(1);
  auto removed = co_await remove_alone(id);
  changes_.release(1);
  co_return removed;
}

Task<base::Result<void>> TopicAdmin::remove_alone(model::TopicId id) {
  const auto entry = services_.topics.current()->by_id(id);
  if (entry == nullptr) co_return base::fail(base::ErrorKind::not_found, "This server does not host this topic ID.");
  auto removed = co_await services_.meta.delete_topic(entry->record);
  if (!removed) co_return removed;
  co_await services_.topics.erase(id);
  auto gone = co_await services_.log.remove_partitions(entry->record);
  co_await services_.groups.topic_deleted(entry->record.name);
  services_.space_freed();
  co_return gone;
}

Task<base::Result<meta::TopicRecord>> TopicAdmin::change(model::TopicId id, Edit edit) {
  co_return co_await runtime::submit_to(*services_.runtime.shards[0],
                                        [this, id, edit = std::move(edit)] { return change_here(id, edit); });
}

Task<base::Result<meta::TopicRecord>> TopicAdmin::change_here(model::TopicId id, Edit edit) {
  (void)co_await changes_.acquire(1);
  auto changed = co_await change_alone(id, std::move(edit));
  changes_.release(1);
  co_return changed;
}

Task<base::Result<meta::TopicRecord>> TopicAdmin::change_alone(model::TopicId id, Edit edit) {
  for (std::size_t attempt = 0; attempt < change_attempts_max; ++attempt) {
    const meta::TopicEntryPtr entry = services_.topics.current()->by_id(id);
    if (entry == nullptr) co_return base::fail(base::ErrorKind::not_found, "This server does not host this topic ID.");
    meta::TopicRecord record = entry->record;
    WEIR_CO_TRY(edit(record));
    ENSURE(record.id == id && record.partition_count >= entry->record.partition_count, "an edit made '{}' another topic",
           record.name);
    auto updated = co_await services_.meta.update_topic(record);
    if (updated) {
      co_await show(entry, *updated);
      co_return updated;
    }
    if (updated.kind() != base::ErrorKind::exists) co_return updated;
    // The keyspace is ahead of the view: a change whose outcome stayed unknown was made after all. Take it over first.
    auto found = co_await services_.meta.find_topic(entry->record.name);
    if (!found) co_return std::unexpected(found.error());
    if (!*found || (*found)->id != id) co_return base::fail(base::ErrorKind::not_found, "The topic was deleted meanwhile.");
    co_await show(entry, std::move(**found));
  }
  co_return base::fail(base::ErrorKind::retry, "The topic is being changed by others again and again.");
}

Task<void> TopicAdmin::show(meta::TopicEntryPtr before, meta::TopicRecord record) {
  const model::TopicConfig config = config::make_topic_config(record.configs, services_.live.current()->settings);
  if (record.partition_count > before->record.partition_count) {
    // Adding what is there already changes nothing.
    auto added = co_await services_.log.add_partitions(record, config);
    ENSURE(added.has_value(), "partitions of '{}' cannot be added: {}", record.name, added.error().text);
  }
  if (config != *before->config) co_await services_.log.update_config(record.id, config);
  co_await services_.topics.update({.record = std::move(record), .config = std::make_shared<const model::TopicConfig>(config)});
}

Task<void> TopicAdmin::take_over_settings() {
  (void)co_await changes_.acquire(1);
  const config::Settings settings = services_.live.current()->settings;
  std::vector<meta::TopicEntry> changed;
  const meta::TopicViewPtr view = services_.topics.current();
  for (const meta::TopicEntryPtr& entry : view->in_order_of_name()) {
    const model::TopicConfig config = config::make_topic_config(entry->record.configs, settings);
    if (config == *entry->config) continue;
    co_await services_.log.update_config(entry->record.id, config);
    changed.push_back({.record = entry->record, .config = std::make_shared<const model::TopicConfig>(config)});
  }
  if (!changed.empty()) co_await services_.topics.update_all(std::move(changed));
  changes_.release(1);
}

}  // namespace weir::api
