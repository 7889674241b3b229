#include "api/topic_admin.h"

#include <memory>
#include <utility>

#include <fmt/core.h>

#include "model/topic_name.h"
#include "runtime/submit.h"

namespace weir::api {

using runtime::Task;

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
  creating_.erase(name);
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
  const model::TopicConfig config = config::make_topic_config(record.configs, services_.config.settings);
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
  // Another request was faster; its view reaches this shard before create() of it returned, but perhaps not yet now.
  co_return co_await runtime::submit_to(*services_.runtime.shards[0], [this, name]() -> base::Result<meta::TopicRecord> {
    const auto entry = services_.topics.current()->by_name(name);
    if (entry == nullptr) return base::fail(base::ErrorKind::retry, "the topic is being created");
    return entry->record;
  });
}

Task<base::Result<void>> TopicAdmin::remove(model::TopicId id) {
  co_return co_await runtime::submit_to(*services_.runtime.shards[0], [this, id] { return remove_here(id); });
}

Task<base::Result<void>> TopicAdmin::remove_here(model::TopicId id) {
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

}  // namespace weir::api
