#include "app/broker.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "api/registry.h"
#include "app/claim.h"
#include "base/ensure.h"
#include "config/broker_config.h"
#include "keyspace/revision_check.h"
#include "runtime/submit.h"
#include "store/url.h"
#include "wal/segment_files.h"

namespace weir::app {

using runtime::Task;

namespace {

constexpr base::Duration probe_age_max = std::chrono::seconds(5);  // readiness: a WAL write became durable within
constexpr base::Duration session_look_interval = std::chrono::seconds(5);
constexpr base::Duration groups_load_wait_max = std::chrono::seconds(2);  // before clients are let in
constexpr base::Duration claim_retry_interval = std::chrono::seconds(5);

// Of weir.cache.memory: half for group buffers and the tail, half for blocks of objects.
log::Options log_options(const config::BrokerConfig& config) {
  log::Options options;
  options.tail_memory_bytes_max = config.cache_memory_bytes / 2;
  options.block_cache_bytes = config.cache_blocks_bytes != 0 ? config.cache_blocks_bytes : config.cache_memory_bytes / 4;
  options.cache_disk = {.directory = config.cache_disk.directory,
                        .size_bytes = config.cache_disk.size_bytes,
                        .slab_bytes = config.cache_disk.slab_bytes};
  options.catchup.bytes_per_second = config.catchup_bytes_per_second;
  // With few connections to the store half of them and a quarter are what catch-up may hold: a quarter is always left.
  if (const auto url = store::parse_store_url(config.store_url)) {
    const auto* s3 = std::get_if<store::S3StoreUrl>(&*url);
    if (s3 != nullptr && s3->connections_max) {
      const std::uint32_t connections = *s3->connections_max;
      log::CatchUp& catchup = options.catchup;
      catchup.gets_inflight_max = std::clamp(connections / 2, 1U, catchup.gets_inflight_max);
      catchup.finds_inflight_max = std::clamp(connections / 4, 1U, catchup.finds_inflight_max);
    }
  }
  options.producer_id_expiration_ms = config.settings.integer("producer.id.expiration.ms");
  return options;
}

wal::Options wal_options(const config::BrokerConfig& config) {
  wal::Options options;
  options.directory = config.wal.directory;
  options.size_bytes = config.wal.size_bytes;
  options.segment_bytes = config.wal.segment_bytes;
  options.group_memory_bytes_max = config.cache_memory_bytes / 2;
  return options;
}

}  // namespace

Broker::Broker(runtime::Runtime& runtime, config::BrokerConfig config, keyspace::Keyspace& keyspace, store::ObjectStore& store,
               security::Authorizer* authorizer)
    : runtime_(runtime),
      wal_doors_(runtime),
      config_(std::move(config)),
      keyspace_(keyspace),
      store_(store),
      authorizer_(authorizer == nullptr ? allow_all_ : *authorizer) {}
Broker::~Broker() = default;

Task<base::Result<void>> Broker::start(Progress progress) {
  auto started = co_await start_parts(std::move(progress));
  if (!started) co_await stop_parts();
  co_return started;
}

Task<base::Result<void>> Broker::start_parts(Progress progress) {
  WEIR_CO_TRY(co_await open_cluster());
  WEIR_CO_TRY(co_await recover(progress));
  co_return co_await serve();
}

Task<base::Result<void>> Broker::open_cluster() {
  runtime::Reactor& reactor = runtime::Reactor::current();
  meta_ = std::make_unique<meta::Meta>(runtime_, keyspace_);
  const model::ClusterId fresh{model::Uuid::from_random(reactor.random(), reactor.random())};
  auto cluster = co_await meta_->open_cluster(fresh);
  if (!cluster) co_return base::with_context("keyspace", cluster.error());
  cluster_ = *cluster;
  auto claimed = co_await claim_store(store_, cluster_.id, reactor.now() + claim_patience);
  if (claimed) {
    store_claimed_ = true;
    co_return base::Result<void>();
  }
  if (claimed.kind() == base::ErrorKind::invalid) co_return claimed;
  if (cluster_.id == fresh) {
    co_return base::fail(
        claimed.kind(),
        fmt::format("a new cluster must claim its object store first, but it does not answer: {}", claimed.error().text));
  }
  runtime_.log->warn("app", "the object store does not answer; starting on the WAL",
                     {{"store", store_.description()}, {"error", claimed.error().text}});
  co_return base::Result<void>();
}

void Broker::emulate_wal_device() {
  const runtime::DeviceProfile* profile = runtime::find_device_profile(config_.wal.emulate);
  ENSURE(profile != nullptr, "the configuration lets the device '{}' pass, of which there is no model", config_.wal.emulate);
  emulated_files_ = std::make_unique<runtime::EmulatedFiles>(*runtime_.files, *profile);
  wal_doors_.files = emulated_files_.get();
  runtime::tell_emulated(runtime_, "wal", profile->name);
}

Task<base::Result<void>> Broker::recover(const Progress& progress) {
  runtime::Reactor& reactor = runtime::Reactor::current();
  auto before = co_await meta_->load();
  if (!before) co_return base::with_context("keyspace", before.error());
  std::vector<meta::SessionRecord> former;
  std::vector<wal::RegisteredWal> registered;
  for (const meta::SessionRecord& session : before->sessions) {
    if (session.node.value() != config_.node_id) {
      co_return base::fail(base::ErrorKind::invalid,
                           fmt::format("the keyspace holds a session of node.id={}, and this broker is node.id={}: one "
                                       "node runs on a private keyspace; start it with its own (--override node.id={})",
                                       session.node.value(), config_.node_id, session.node.value()));
    }
    former.push_back(session);
    former_.push_back(session.id);
    registered.push_back({.session = session.id,
                          .wal = session.wal,
                          .segment_count = session.segment_count,
                          .segment_bytes = session.segment_bytes});
  }

  const wal::Options options = wal_options(config_);
  meta::SessionRecord own;
  own.id = model::SessionId{model::Uuid::from_random(reactor.random(), reactor.random())};
  own.node = model::NodeId(config_.node_id);
  own.wal = model::WalId{model::Uuid::from_random(reactor.random(), reactor.random())};
  own.segment_bytes = wal::effective_segment_bytes(options);
  own.window_bytes = options.window_bytes;
  own.started_ms = reactor.wall_now_ms();
  session_ = own.id;
  if (!config_.wal.emulate.empty()) emulate_wal_device();
  wal_ = wal::make_file_wal(wal_doors_, {.cluster = cluster_.id, .session = own.id, .wal = own.wal}, options);
  auto recovered = co_await wal_->recover(std::move(registered), [progress](std::uint64_t done, std::uint64_t total) {
    progress("reading the WAL of earlier runs, bytes", done, total);
  });
  if (!recovered) co_return base::with_context("WAL", recovered.error());
  WEIR_CO_TRY(keyspace::check_relied_on(keyspace_, static_cast<keyspace::Revision>(recovered->keyspace_revision)));
  WEIR_CO_TRY(co_await meta_->begin_session(own, std::move(former)));
  session_begun_ = true;
  wal_->relied_on_revision(static_cast<std::uint64_t>(keyspace_.last_known_revision()));

  // Only now can no former session change anything: this is what partitions are opened from.
  auto snapshot = co_await meta_->load();
  if (!snapshot) co_return base::with_context("keyspace", snapshot.error());
  WEIR_CO_TRY(co_await meta_->resume_deletions(snapshot->leftovers));
  live_ = std::make_unique<api::LiveConfig>(runtime_, config_);
  co_await live_->apply(std::move(snapshot->configs));
  const config::Settings settings = live_->current()->settings;
  topics_ = std::make_unique<meta::TopicTable>(runtime_);
  std::vector<meta::TopicEntry> entries;
  for (const auto& [name, record] : snapshot->topics) {
    entries.push_back(
        {.record = record,
         .config = std::make_shared<const model::TopicConfig>(config::make_topic_config(record.configs, settings))});
  }
  co_await topics_->fill(std::move(entries));
  log_ = log::make_log(runtime_, *wal_, *meta_, store_, cluster_.id, log_options(config_));
  WEIR_CO_TRY(co_await log_->open(
      std::move(*snapshot), std::move(*recovered),
      [&settings](const meta::TopicRecord& topic) { return config::make_topic_config(topic.configs, settings); },
      [progress](std::size_t done, std::size_t total) { progress("reading indexes of objects", done, total); }));
  recovered_ = true;
  co_return base::Result<void>();
}

Task<base::Result<void>> Broker::serve() {
  WEIR_CO_TRY(co_await wal_->start([this](std::uint32_t count) { return register_segments(count); }, log_->sinks()));
  wal_started_ = true;
  const auto on_fenced = [this](const base::Error& why) { seal(why.text); };
  upload::Options upload_options;
  upload_options.limits.size_bytes = config_.upload_size_bytes;
  upload_options.limits.wal_size_bytes = config_.wal.size_bytes;
  upload_options.limits.age = std::chrono::milliseconds(config_.upload_age_ms);
  const auto hold_uploads = [this] { return upkeep_ != nullptr && upkeep_->uploads_wait(); };
  uploader_ =
      upload::make_uploader({.runtime = runtime_, .wal = *wal_, .meta = *meta_, .store = store_, .hold = hold_uploads}, *log_,
                            {.cluster = cluster_.id, .incarnation = cluster_.incarnation}, upload_options, on_fenced);
  upkeep::Options upkeep_options;
  upkeep_options.retention_interval = std::chrono::milliseconds(config_.settings.integer("log.retention.check.interval.ms"));
  upkeep_options.garbage_wait = std::chrono::milliseconds(config_.garbage_delay_ms);
  upkeep_options.merge.limits.memory_bytes = config_.merge.memory_bytes;
  upkeep_options.merge.limits.fan_in_max = config_.merge.inputs_max;
  upkeep_options.merge.limits.objects_max = config_.merge.objects_max;
  upkeep_options.merge.limits.splits = config_.merge.split_bytes > 0;
  upkeep_options.merge.limits.split_bytes = config_.merge.split_bytes;
  upkeep_options.merge.limits.split_min_bytes = config_.merge.split_bytes / upkeep::tier_factor;
  upkeep_options.merge.limits.split_object_max = config_.merge.split_bytes * 2;
  upkeep_options.merge.bytes_per_second = config_.merge.bytes_per_second;
  upkeep_options.merge.interval = std::chrono::milliseconds(config_.merge.interval_ms);
  const auto uploads_are_behind = [this] {
    const upload::Status status = uploader_->status();
    return status.failures_in_row > 0 || status.backlog_bytes > 2 * config_.upload_size_bytes;
  };
  upkeep_ = upkeep::make_upkeep(
      {.runtime = runtime_, .meta = *meta_, .store = store_, .foreground_busy = uploads_are_behind, .on_fenced = on_fenced},
      upkeep::LogDoor::of(*log_, runtime_.shards.size()), {.cluster = cluster_.id, .incarnation = cluster_.incarnation},
      [this](model::TopicId id) -> std::optional<model::TopicConfig> {
        const auto entry = topics_->current()->by_id(id);
        return entry == nullptr ? std::nullopt : std::optional(*entry->config);
      },
      upkeep_options);
  if (store_claimed_) {
    begin_background();
  } else {
    scope_.spawn("claim", claim_later());
  }

  std::vector<api::AdvertisedListener> advertised;
  server::Options options;
  for (const config::ListenerConfig& listener : config_.listeners) {
    advertised.push_back({.name = listener.name, .host = listener.advertised_host, .port = listener.advertised_port});
    std::optional<runtime::TlsServerOptions> tls;
    if (listener.protocol == config::SecurityProtocol::ssl) {
      tls = runtime::TlsServerOptions{
          .certificate_chain_file = config_.tls->certificate_file,
          .private_key_file = config_.tls->key_file,
          .client_ca_file = config_.tls->client_auth == config::ClientAuth::none ? "" : config_.tls->trust_file,
          .require_client_certificate = config_.tls->client_auth == config::ClientAuth::required};
    }
    options.listeners.push_back(
        {.name = listener.name, .address = {.host = listener.host, .port = listener.port}, .tls = std::move(tls)});
  }
  const config::Settings& settings = config_.settings;
  options.limits.frame_bytes_max = static_cast<std::uint32_t>(settings.integer("socket.request.max.bytes"));
  options.limits.requests_inflight_max = static_cast<std::uint32_t>(settings.integer("queued.max.requests"));
  options.limits.idle_max = std::chrono::milliseconds(settings.integer("connections.max.idle.ms"));
  options.connections_max = static_cast<std::uint32_t>(settings.integer("max.connections"));
  options.connections_per_ip_max = static_cast<std::uint32_t>(settings.integer("max.connections.per.ip"));
  options.connections_per_ip_overrides = config_.connections_per_ip;
  groups_ = std::make_unique<groups::Coordinator>(runtime_, *log_, *topics_, groups::options_from(settings));
  co_await groups_->start(runtime::Reactor::current().now() + groups_load_wait_max);
  services_ = std::make_unique<api::Services>(api::Services{.runtime = runtime_,
                                                            .log = *log_,
                                                            .meta = *meta_,
                                                            .topics = *topics_,
                                                            .groups = *groups_,
                                                            .config = config_,
                                                            .live = *live_,
                                                            .telemetry = telemetry_,
                                                            .authorizer = authorizer_,
                                                            .cluster = cluster_.id,
                                                            .advertised = std::move(advertised),
                                                            .wal_used_bytes = [this] { return wal_->used_bytes(); },
                                                            .space_freed = [this] { upkeep_->kick(); },
                                                            .limits = api::RequestLimits::of(settings)});
  dispatcher_ = api::make_dispatcher(*services_);
  server_ = std::make_unique<server::Server>(runtime_, *dispatcher_, std::move(options));
  WEIR_CO_TRY(co_await server_->start());
  live_->subscribe([this](const api::ConfigViewPtr& view) { take_over(view->settings); });
  take_over(live_->current()->settings);
  scope_.spawn("session", watch_session());
  co_return base::Result<void>();
}

// What is not read from the settings each time it is needed. Topics' values are taken over by whoever changed the settings.
void Broker::take_over(const config::Settings& settings) {
  server_->limit_connections(static_cast<std::uint32_t>(settings.integer("max.connections")),
                             static_cast<std::uint32_t>(settings.integer("max.connections.per.ip")));
  scope_.spawn("settings", log_->expire_producers_after(settings.integer("producer.id.expiration.ms")));
}

Task<base::Result<void>> Broker::register_segments(std::uint32_t count) {
  auto registered = co_await meta_->register_segments(count);
  if (registered) wal_->relied_on_revision(static_cast<std::uint64_t>(keyspace_.last_known_revision()));
  if (!registered && registered.kind() == base::ErrorKind::fenced) seal(registered.error().text);
  co_return registered;
}

void Broker::begin_background() {
  uploader_->start(former_);
  upkeep_->start();
  background_started_ = true;
}

Task<void> Broker::claim_later() {
  while (!scope_.stopping()) {
    if (co_await runtime::sleep_for(claim_retry_interval, &scope_.stop_token()) == runtime::Wake::stopped) co_return;
    auto claimed = co_await claim_store(store_, cluster_.id, runtime::Reactor::current().now() + claim_patience);
    if (claimed) {
      store_claimed_ = true;
      begin_background();
      co_return;
    }
    // A foreign bucket gets nothing of ours: the WAL fills, and produces are told so.
    runtime_.log->warn("app", "the object store is not usable yet",
                       {{"store", store_.description()}, {"error", claimed.error().text}});
  }
}

void Broker::seal(const std::string& why) {
  if (!sealed_reason_.empty()) return;
  sealed_reason_ = why;
  runtime_.log->error("app", "this session is sealed: nothing is acknowledged any more; restart the broker", {{"reason", why}});
  if (wal_) wal_->seal_self(why);
}

Task<void> Broker::watch_session() {
  // One node's session is sealed only by another process on the same keyspace, which the locks exclude; a fleet's by its controller.
  while (co_await runtime::sleep_for(session_look_interval, &scope_.stop_token()) != runtime::Wake::stopped) {
    auto live = co_await meta_->session_live();
    if (live && !*live) seal("sess/S is no longer live");
    if (live) wal_->relied_on_revision(static_cast<std::uint64_t>(keyspace_.last_known_revision()));
  }
}

Task<Readiness> Broker::readiness() {
  Readiness readiness;
  if (!recovered_ || !wal_started_) readiness.problems.emplace_back("recovery: earlier data are still being read");
  if (!sealed_reason_.empty()) readiness.problems.push_back("session: sealed: " + sealed_reason_);
  if (!readiness.problems.empty()) co_return readiness;
  runtime::Reactor& reactor = runtime::Reactor::current();
  // Asked, not timed: an idle broker writes nothing. A write is made when none is fresh enough to judge by.
  if (wal_->last_durable() == base::MonoTime{} || reactor.now() - wal_->last_durable() > probe_age_max / 2) {
    auto probed = co_await wal_->flush_statements();
    if (!probed) readiness.problems.push_back("wal: " + probed.error().text);
  }
  if (readiness.problems.empty() && reactor.now() - wal_->last_durable() > probe_age_max) {
    readiness.problems.emplace_back("wal: no write became durable within the last 5 s");
  }
  co_return readiness;
}

Task<bool> Broker::stop(Progress progress) {
  runtime::Reactor& reactor = runtime::Reactor::current();
  const base::MonoTime deadline = reactor.now() + std::chrono::milliseconds(config_.shutdown_timeout_ms);
  // A keyspace that does not answer is waited for without end while the broker runs, but not by a broker that is told to go.
  const runtime::TimerId patience = reactor.call_at(deadline, [this] {
    if (meta_) meta_->stop();
  });
  // Members that wait for a rebalance are told to look for another coordinator; commits are stored until the last connection ends.
  co_await groups_->end_waits();
  co_await server_->stop(std::min(deadline, reactor.now() + connections_patience));
  co_await groups_->stop();
  co_await scope_.stop();
  co_await log_->stop();
  bool everything_uploaded = false;
  if (background_started_ && sealed_reason_.empty()) {
    const upload::FlushOutcome outcome =
        co_await uploader_->flush(deadline, [progress](std::uint64_t done, std::uint64_t left) {
          progress("uploading what is only in the WAL, bytes", done, done + left);
        });
    everything_uploaded = outcome.left_bytes == 0;
    if (!everything_uploaded) {
      runtime_.log->warn("app", "not everything could be uploaded in time; the rest stays in the WAL for the next start",
                         {{"bytes", outcome.left_bytes}});
    }
  }
  if (sealed_reason_.empty() && !everything_uploaded) {
    if (auto stated = co_await wal_->flush_statements(); !stated)
      runtime_.log->warn("app", "the last statements could not be written", {{"error", stated.error().text}});
  }
  co_await stop_parts();
  reactor.cancel_timer(patience);
  co_return everything_uploaded;
}

// A session whose WAL nothing needs leaves no file and no key: then wal/ may be deleted between a clean stop and the next start.
Task<void> Broker::drop_unneeded(model::SessionId session) {
  if (wal_->live_records(session) != 0) co_return;
  if (wal_->damaged_segments(session) != 0) {  // what a quarantined partition lacks may be in there, and readable again one day
    std::vector<log::Shard*> shards;
    for (runtime::Reactor* shard : runtime_.shards) shards.push_back(&log_->shard(shard->shard()));
    if (co_await log::lacks_records(runtime_, std::move(shards))) co_return;
  }
  auto dropped = co_await wal_->remove_session(session);
  if (dropped) dropped = co_await meta_->drop_session(session);
  if (!dropped && dropped.kind() != base::ErrorKind::not_found) {
    runtime_.log->warn("app", "a session that nothing needs could not be dropped",
                       {{"session", session.to_string()}, {"error", dropped.error().text}});
  }
}

// Ends what was begun, in the opposite order; then, when nothing needs this session's WAL, removes it.
Task<void> Broker::stop_parts() {
  if (groups_) co_await groups_->stop();
  if (server_) co_await server_->stop(runtime::Reactor::current().now());
  co_await scope_.stop();
  if (background_started_) co_await upkeep_->stop();
  if (background_started_) co_await uploader_->stop();
  if (log_) co_await log_->stop();
  if (wal_) {
    co_await wal_->stop();
    if (wal_started_ && sealed_reason_.empty()) {
      for (const model::SessionId& former : former_) co_await drop_unneeded(former);
      co_await drop_unneeded(session_);
    }
  }
  if (meta_) meta_->stop();
  background_started_ = false;
}

}  // namespace weir::app
