#include "api/registry.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "api/fetch_session.h"

namespace weir::api {
namespace {

using runtime::Task;

constexpr auto entries = std::to_array<Entry>({
    {.key = wire::ApiKey::produce, .handle = handle_produce, .traffic = Traffic::data, .overlaps = true},
    {.key = wire::ApiKey::fetch, .handle = handle_fetch, .traffic = Traffic::data},
    {.key = wire::ApiKey::list_offsets, .handle = handle_list_offsets},
    {.key = wire::ApiKey::metadata, .handle = handle_metadata},
    {.key = wire::ApiKey::offset_commit, .handle = handle_offset_commit, .traffic = Traffic::membership},
    {.key = wire::ApiKey::offset_fetch, .handle = handle_offset_fetch},
    {.key = wire::ApiKey::find_coordinator, .handle = handle_find_coordinator},
    {.key = wire::ApiKey::join_group, .handle = handle_join_group, .traffic = Traffic::membership},
    {.key = wire::ApiKey::heartbeat, .handle = handle_heartbeat, .traffic = Traffic::membership},
    {.key = wire::ApiKey::leave_group, .handle = handle_leave_group, .traffic = Traffic::membership},
    {.key = wire::ApiKey::sync_group, .handle = handle_sync_group, .traffic = Traffic::membership},
    {.key = wire::ApiKey::describe_groups, .handle = handle_describe_groups},
    {.key = wire::ApiKey::list_groups, .handle = handle_list_groups},
    {.key = wire::ApiKey::api_versions, .handle = handle_api_versions},
    {.key = wire::ApiKey::create_topics, .handle = handle_create_topics},
    {.key = wire::ApiKey::delete_topics, .handle = handle_delete_topics},
    {.key = wire::ApiKey::delete_records, .handle = handle_delete_records},
    {.key = wire::ApiKey::init_producer_id, .handle = handle_init_producer_id},
    {.key = wire::ApiKey::offset_for_leader_epoch, .handle = handle_offset_for_leader_epoch},
    {.key = wire::ApiKey::describe_configs, .handle = handle_describe_configs},
    {.key = wire::ApiKey::alter_configs, .handle = handle_alter_configs},
    {.key = wire::ApiKey::alter_replica_log_dirs, .handle = handle_alter_replica_log_dirs},
    {.key = wire::ApiKey::describe_log_dirs, .handle = handle_describe_log_dirs},
    {.key = wire::ApiKey::create_partitions, .handle = handle_create_partitions},
    {.key = wire::ApiKey::delete_groups, .handle = handle_delete_groups},
    {.key = wire::ApiKey::elect_leaders, .handle = handle_elect_leaders},
    {.key = wire::ApiKey::incremental_alter_configs, .handle = handle_incremental_alter_configs},
    {.key = wire::ApiKey::alter_partition_reassignments, .handle = handle_alter_partition_reassignments},
    {.key = wire::ApiKey::list_partition_reassignments, .handle = handle_list_partition_reassignments},
    {.key = wire::ApiKey::offset_delete, .handle = handle_offset_delete},
    {.key = wire::ApiKey::describe_quorum, .handle = handle_describe_quorum},
    {.key = wire::ApiKey::update_features, .handle = handle_update_features},
    {.key = wire::ApiKey::describe_cluster, .handle = handle_describe_cluster},
    {.key = wire::ApiKey::describe_producers, .handle = handle_describe_producers},
    {.key = wire::ApiKey::unregister_broker, .handle = handle_unregister_broker},
    {.key = wire::ApiKey::get_telemetry_subscriptions, .handle = handle_get_telemetry_subscriptions},
    {.key = wire::ApiKey::push_telemetry, .handle = handle_push_telemetry},
    {.key = wire::ApiKey::list_config_resources, .handle = handle_list_config_resources},
    {.key = wire::ApiKey::describe_topic_partitions, .handle = handle_describe_topic_partitions},
});

const Entry* find_entry(std::int16_t key) {
  const auto at = std::ranges::find(entries, key, [](const Entry& entry) { return static_cast<std::int16_t>(entry.key); });
  return at == entries.end() ? nullptr : &*at;
}

class RegistryDispatcher final : public Dispatcher {
 public:
  explicit RegistryDispatcher(Services& services)
      : services_(services), topic_admin_(services), config_admin_(services, topic_admin_), producer_ids_(services) {
    const auto slots = static_cast<std::size_t>(services.config.settings.integer("max.incremental.fetch.session.cache.slots"));
    const std::size_t shard_count = services.runtime.shards.size();
    for (std::size_t i = 0; i < shard_count; ++i) {
      sessions_.emplace_back(FetchSessionCache::Options{.slots_max = (slots + shard_count - 1) / shard_count});
    }
  }

  std::expected<void, std::string> begin(bytes::Bytes frame, model::RequestContext& ctx) override {
    wire::Reader reader(frame);
    auto header = wire::parse_request_header(reader);
    if (!header) return std::unexpected(header.error().text);
    ctx.api_key = static_cast<std::int16_t>(header->api->key);
    ctx.api_version = header->version;
    ctx.correlation_id = header->correlation_id;
    ctx.client_id = std::string(header->client_id.value_or(""));
    if (find_entry(ctx.api_key) == nullptr) {
      return std::unexpected(fmt::format("{} is not served by this version (ApiVersions does not list it)", header->api->name));
    }
    if (!header->version_supported && header->api->key != wire::ApiKey::api_versions) {
      return std::unexpected(fmt::format("{} version {} is not served: {} to {} are", header->api->name, header->version,
                                         header->api->version_min, header->api->version_max));
    }
    return {};
  }

  [[nodiscard]] bool may_overlap(std::int16_t api_key) const override {
    const Entry* entry = find_entry(api_key);
    return entry != nullptr && entry->overlaps;
  }

  [[nodiscard]] Traffic traffic_of(std::int16_t api_key) const override {
    const Entry* entry = find_entry(api_key);
    return entry == nullptr ? Traffic::any : entry->traffic;
  }

  Task<Reply> handle(ConnectionState& state, model::RequestContext& ctx, bytes::Buffer frame) override {
    wire::Reader reader(frame.view());
    auto header = wire::parse_request_header(reader);
    ENSURE(header.has_value(), "begin() let a frame pass whose header cannot be read");
    const std::size_t body_offset = reader.position();
    const Entry* entry = find_entry(ctx.api_key);
    const std::uint32_t shard = runtime::Reactor::current().shard().value();
    return entry->handle(Call{.services = services_,
                              .topic_admin = topic_admin_,
                              .config_admin = config_admin_,
                              .producer_ids = producer_ids_,
                              .shard = {.sessions = &sessions_[shard]},
                              .state = state,
                              .ctx = ctx,
                              .frame = std::move(frame),
                              .body_offset = body_offset});
  }

 private:
  Services& services_;
  TopicAdmin topic_admin_;
  ConfigAdmin config_admin_;
  ProducerIds producer_ids_;
  std::vector<FetchSessionCache> sessions_;  ///< by shard, each touched on its own
};

}  // namespace

std::span<const Entry> served_apis() { return entries; }

std::unique_ptr<Dispatcher> make_dispatcher(Services& services) { return std::make_unique<RegistryDispatcher>(services); }

}  // namespace weir::api
