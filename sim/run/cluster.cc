#include "sim/run/cluster.h"

#include <memory>
#include <utility>

#include <fmt/format.h>

#include "app/broker.h"
#include "base/ensure.h"
#include "runtime/scope.h"

namespace weir::sim {

using runtime::Task;

namespace {
constexpr base::Duration supervise_interval = std::chrono::milliseconds(100);
constexpr std::uint64_t merge_bytes_per_second = 64U << 20U;
}  // namespace

Cluster::Cluster(World& w, const Plan& plan)
    : world(w),
      fabric(w),
      broker_host(w, fabric, "10.0.0.1", plan.disk_bytes),
      client_host(w, fabric, "10.0.0.9", 1U << 20U),
      broker_process(broker_host, {.name = "broker", .shard_count = plan.shard_count, .log_debug = w.trace().printing()}),
      bucket(w),
      keyspace(w),
      plan_(plan),
      rng_(w.rng("cluster")) {
  supervise();
}

config::BrokerConfig Cluster::broker_config() const {
  const auto set = [](std::string name, std::string value) {
    return config::Property{std::move(name), std::move(value), "simulator"};
  };
  auto settings = config::Settings::from({
      set("listeners", "PLAINTEXT://0.0.0.0:9092"),
      set("weir.insecure", "true"),
      set("weir.data.dir", "/data"),
      set("weir.wal", "file:///data/wal?size=1GiB&sharing=private"),
      set("weir.upload.age", fmt::format("{}ms", plan_.upload_age_ms)),
      set("log.retention.check.interval.ms", std::to_string(plan_.retention_check_ms)),
      set("auto.create.topics.enable", "false"),
      set("offsets.topic.num.partitions", "3"),
  });
  ENSURE(settings.has_value(), "the simulator's settings: {}", settings.error().text);
  auto made = config::make_broker_config(std::move(*settings));
  ENSURE(made.has_value(), "the simulator's settings: {}", made.error().text);
  // Smaller than the settings allow, so that ten minutes fill and recycle everything many times.
  made->wal.size_bytes = plan_.wal_bytes;
  made->wal.segment_bytes = plan_.wal_segment_bytes;
  made->cache_memory_bytes = plan_.cache_bytes;
  made->cache_blocks_bytes = plan_.cache_blocks_bytes;
  made->cache_disk.size_bytes = plan_.cache_disk_bytes;
  made->cache_disk.slab_bytes = plan_.cache_disk_slab_bytes;
  made->upload_size_bytes = plan_.upload_bytes;
  made->garbage_delay_ms = plan_.garbage_delay_ms;
  made->merge.bytes_per_second = merge_bytes_per_second;  // the store's URL is a local directory's, whose default is none
  made->merge.memory_bytes = plan_.merge_bytes;
  made->merge.split_bytes = plan_.split_bytes;
  made->merge.inputs_max = plan_.merge_inputs;
  made->merge.objects_max = plan_.merge_objects_max;
  made->merge.interval_ms = plan_.merge_interval_ms;
  return std::move(*made);
}

void Cluster::keep_running(bool keep) { keep_ = keep; }

void Cluster::supervise() {
  world.after(supervise_interval, [this] { supervise(); });
  if (!keep_ || start_pending_ || broker_process.running()) return;
  start_pending_ = true;
  ready_ = false;
  stop_event_ = nullptr;
  const base::Duration pause = rng_.percent(70) ? rng_.between(std::chrono::milliseconds(10), std::chrono::seconds(1))
                                                : rng_.between(std::chrono::seconds(1), std::chrono::seconds(15));
  world.after(pause, [this] {
    start_pending_ = false;
    if (!keep_ || broker_process.running()) return;
    broker_process.start([this](runtime::Runtime& doors) { return run_broker(&doors); });
  });
}

void Cluster::request_stop() {
  if (!ready()) return;
  broker_process.current()->shard(0).deliver([this] {
    if (stop_event_ != nullptr) stop_event_->set();
  });
}

Task<void> Cluster::run_broker(runtime::Runtime* doors) {
  SimKeyspace keyspace_door(keyspace);
  SimStore store_door(bucket);
  const auto broker = std::make_unique<app::Broker>(*doors, broker_config(), keyspace_door, store_door);
  const auto no_progress = [](std::string_view, std::uint64_t, std::uint64_t) {};
  const auto started = co_await broker->start(no_progress);
  if (!started) {
    ++refused_starts_;
    last_refusal_ = started.error().text;
    doors->log->error("sim", "the broker refused to start", {{"reason", started.error().text}});
  } else {
    last_refusal_.clear();
    runtime::Event stop;
    stop_event_ = &stop;
    ready_ = true;
    bool stopping = false;
    runtime::Scope writers;
    for (const auto& writer : transactions) writers.spawn("transactions", writer->run(&broker->log(), &stopping));
    while (!stop.is_set()) (void)co_await stop.wait();
    stopping = true;
    co_await writers.join();
    ready_ = false;
    stop_event_ = nullptr;
    uploaded_everything_ = co_await broker->stop(no_progress);
  }
  co_await store_door.stop();
  co_await keyspace_door.stop();
}

}  // namespace weir::sim
