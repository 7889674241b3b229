#include "app/start.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <fmt/core.h>

#ifdef WEIR_MIMALLOC
#include <mimalloc.h>
#endif

#include "admin/http_server.h"
#include "app/broker.h"
#include "config/broker_config.h"
#include "keyspace/open.h"
#include "runtime/real.h"
#include "store/open.h"

namespace weir::app {

using runtime::Task;

namespace {

constexpr int exit_ok = 0;
constexpr int exit_refused = 1;

#ifdef WEIR_MIMALLOC
// Received frames come and go by the hundred: with the allocator's own 25 ms their pages went back to the system between two of them, and
// a GB of 64 KB records cost 40,000 page faults; and an upload's copies are of the next upload's size: where the host must find each page
// anew, making 64 MiB usable takes 40 ms of the loop's time. An idle broker still gives its memory back after this.
constexpr long memory_return_delay_ms = 30'000;
#endif

void tell(const std::string& text) {
  std::fputs((text + "\n").c_str(), stderr);
  std::fflush(stderr);
}

base::Result<config::BrokerConfig> read_config(const StartArguments& arguments,
                                               const std::map<std::string, std::string>& environment) {
  std::vector<config::Property> properties;
  if (!arguments.properties_file.empty()) {
    std::ifstream file(arguments.properties_file, std::ios::binary);
    if (!file) return base::fail(base::ErrorKind::invalid, fmt::format("{}: cannot be read", arguments.properties_file));
    std::stringstream text;
    text << file.rdbuf();
    auto parsed = config::parse_properties(text.str(), arguments.properties_file);
    if (!parsed) return std::unexpected(parsed.error());
    properties = std::move(*parsed);
  }
  for (config::Property& property : config::from_environment(environment)) properties.push_back(std::move(property));
  if (!arguments.data_directory.empty())
    properties.push_back({.name = "weir.data.dir", .value = arguments.data_directory, .origin = "--data-dir"});
  if (!arguments.listen.empty())
    properties.push_back({.name = "listeners", .value = "PLAINTEXT://" + arguments.listen, .origin = "--listen"});
  for (const std::string& text : arguments.overrides) {
    auto property = config::parse_override(text);
    if (!property) return std::unexpected(property.error());
    properties.push_back(std::move(*property));
  }
  auto settings = config::Settings::from(properties);
  if (!settings) return std::unexpected(settings.error());
  return config::make_broker_config(std::move(*settings));
}

runtime::LogLevel log_level(const std::string& name) {
  if (name == "debug") return runtime::LogLevel::debug;
  if (name == "warn") return runtime::LogLevel::warn;
  if (name == "error") return runtime::LogLevel::error;
  return runtime::LogLevel::info;
}

runtime::RealOptions real_options(const config::BrokerConfig& config) {
  runtime::RealOptions options;
  options.shard_count = config.shard_count.value_or(std::max(1U, std::thread::hardware_concurrency()));
  if (config.wal_io == "io_uring") options.file_backend = runtime::FileBackend::uring;
  if (config.wal_io == "pwritev2") options.file_backend = runtime::FileBackend::pwritev2;
  options.log.level = log_level(config.log_level);
  options.log.json = config.log_json;
  return options;
}

// file:///DIR with a relative DIR made absolute: stores and keyspaces take absolute paths.
std::string absolute_url(const std::string& url) {
  constexpr std::string_view scheme = "file://";
  if (!url.starts_with(scheme) || url.substr(scheme.size()).starts_with('/')) return url;
  std::error_code error;
  return std::string(scheme) + std::filesystem::absolute(url.substr(scheme.size()), error).lexically_normal().string();
}

/// The process's main task and what it holds.
class Process {
 public:
  Process(runtime::RealRuntime& real, config::BrokerConfig config, const std::map<std::string, std::string>& environment)
      : doors_(real.doors()), config_(std::move(config)), environment_(environment) {}

  Task<int> run() {
    auto opened = co_await open();
    if (!opened) {
      tell("weir: " + opened.error().text);
      co_await close();
      co_return exit_refused;
    }
    auto started = co_await broker_->start(progress());
    if (started) started = co_await serve_admin();
    if (!started) {
      tell("weir: " + started.error().text);
      co_await close();
      co_return exit_refused;
    }
    serving_ = true;
    greet();
    (void)co_await stop_requested_.wait();
    tell("stopping: uploading what is only in the WAL (a second signal ends at once)");
    const bool everything = co_await broker_->stop(progress());
    co_await close();
    tell(everything ? "stopped; everything is in the object store"
                    : "stopped; what was not uploaded is in the WAL and is found by the next start");
    co_return exit_ok;
  }

  // On shard 0, for each signal.
  void on_signal() {
    if (stop_requested_.is_set() || !serving_) std::_Exit(128 + 15);  // a crash, and crashes are safe
    stop_requested_.set();
  }

 private:
  Task<base::Result<void>> open() {
    auto keyspace = co_await keyspace::open_keyspace(doors_, absolute_url(config_.keyspace_url));
    if (!keyspace) co_return base::with_context("weir.keyspace", keyspace.error());
    keyspace_ = std::move(*keyspace);
    auto store = co_await store::open_store(absolute_url(config_.store_url), environment_, doors_);
    if (!store) co_return base::with_context("weir.store", store.error());
    store_ = std::move(*store);
    broker_ = std::make_unique<Broker>(doors_, config_, *keyspace_, *store_);
    co_return base::Result<void>();
  }

  Task<void> close() {
    if (admin_) co_await admin_->stop();
    broker_.reset();
    if (store_) co_await store_->stop();
    if (keyspace_) co_await keyspace_->stop();
  }

  Task<admin::HttpResponse> ready() {
    const Readiness readiness = co_await broker_->readiness();
    if (readiness.problems.empty()) co_return admin::HttpResponse{.status = 200, .body = "ready\n"};
    admin::HttpResponse response{.status = 503, .body = {}};
    for (const std::string& problem : readiness.problems) response.body += problem + "\n";
    co_return response;
  }
  static Task<admin::HttpResponse> live() { co_return admin::HttpResponse{.status = 200, .body = "live\n"}; }
  Task<admin::HttpResponse> metrics(bool samples) {
    co_return admin::HttpResponse{
        .status = 200,
        .content_type = "text/plain; version=0.0.4; charset=utf-8",
        .body = doors_.metrics->render(samples ? runtime::Metrics::Detail::samples : runtime::Metrics::Detail::few_buckets)};
  }

  // topic, partition and offset of the query; names need no decoding: Kafka's topic names hold no character that URLs escape.
  Task<admin::HttpResponse> where(std::string query) {
    std::map<std::string, std::string> values;
    while (!query.empty()) {
      const std::size_t end = std::min(query.find('&'), query.size());
      const std::size_t equals = std::min(query.find('='), end);
      values[query.substr(0, equals)] = equals < end ? query.substr(equals + 1, end - equals - 1) : "";
      query.erase(0, end + 1);
    }
    const auto entry = broker_->topics().current()->by_name(values["topic"]);
    std::int32_t partition = -1;
    std::int64_t offset = -1;
    const auto read = [](const std::string& text, auto& number) {
      std::from_chars(text.data(), text.data() + text.size(), number);
    };
    read(values["partition"], partition);
    read(values["offset"], offset);
    if (entry == nullptr || partition < 0 || partition >= entry->record.partition_count || offset < 0) {
      co_return admin::HttpResponse{.status = 404,
                                    .body = "no such topic, partition or offset: give topic=, partition= and offset=\n"};
    }
    auto found = co_await broker_->log().locate({.topic = entry->record.id, .partition = model::PartitionIndex(partition)},
                                                model::Offset(offset));
    if (!found) co_return admin::HttpResponse{.status = 503, .body = found.error().text + "\n"};
    if (!*found) co_return admin::HttpResponse{.status = 404, .body = "the partition does not have this offset\n"};
    co_return admin::HttpResponse{
        .status = 200, .content_type = "text/plain; charset=utf-8", .body = location_text(**found, values["format"] == "json")};
  }

  static std::string location_text(const log::Location& at, bool json) {
    constexpr std::array<const char*, 3> kinds = {"memory", "wal", "object"};
    const char* kind = kinds[static_cast<std::size_t>(at.kind)];
    std::string text = json ? fmt::format(R"({{"kind":"{}","base_offset":{},"end_offset":{})", kind, at.base_offset.value(),
                                          at.end_offset.value())
                            : fmt::format("{}: offsets {} to {}", kind, at.base_offset.value(), at.end_offset.value() - 1);
    if (at.place) {
      text += fmt::format(fmt::runtime(json ? R"(,"wal_lsn":{},"wal_segment":{},"wal_position":{},"bytes":{})"
                                            : ", WAL LSN {}, segment {}, position {}, {} bytes"),
                          at.place->lsn.value(), at.place->segment, at.place->offset_bytes, at.place->length_bytes);
    }
    if (at.object) {
      text += fmt::format(fmt::runtime(json ? R"(,"object":"{}","key":"{}","position":{},"bytes":{})"
                                            : ", object {}, key {}, position {}, {} bytes"),
                          at.object->to_string(), at.object_key, at.position, at.size_bytes);
    }
    return text + (json ? "}\n" : "\n");
  }

  Task<base::Result<void>> serve_admin() {
    admin_ = std::make_unique<admin::HttpServer>(
        doors_, std::map<std::string, admin::Handler>{
                    {"/metrics", [this](const admin::HttpRequest& request) { return metrics(request.query == "samples"); }},
                    {"/v1/storage/where", [this](const admin::HttpRequest& request) { return where(request.query); }},
                    {"/v1/status/live", [](const admin::HttpRequest&) { return live(); }},
                    {"/v1/status/ready", [this](const admin::HttpRequest&) { return ready(); }}});
    for (const config::AdminListener& listener : config_.admin_listeners) {
      auto address = co_await admin_->listen({.host = listener.host, .port = listener.port});
      if (!address) {
        (void)co_await broker_->stop(progress());
        co_return std::unexpected(address.error());
      }
      admin_addresses_.push_back(*address);
    }
    co_return base::Result<void>();
  }

  Progress progress() {
    return [](std::string_view what, std::uint64_t done, std::uint64_t total) {
      tell(fmt::format("{}: {} of {}", what, done, total));
    };
  }

  void greet() {
    for (const std::string& line : config_.settings.warnings())
      doors_.log->warn("config", "a setting has no effect here", {{"setting", line}});
    std::string text = "weir is ready\n";
    const auto addresses = broker_->addresses();
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      text += fmt::format("  {:<10} {}\n", config_.listeners[i].name, runtime::to_string(addresses[i]));
    }
    for (const runtime::Address& address : admin_addresses_)
      text += fmt::format("  {:<10} http://{}/metrics\n", "admin", runtime::to_string(address));
    text += fmt::format("  {:<10} {}\n", "cluster", broker_->cluster().to_string());
    text += fmt::format("  {:<10} {}; WAL {}; metadata {}\n", "data", store_->description(), config_.wal.directory,
                        keyspace_->description());
    text += fmt::format("  first message: echo hello | weir produce first --bootstrap-server {}",
                        runtime::to_string(addresses.front()));
    tell(text);
  }

  runtime::Runtime& doors_;
  config::BrokerConfig config_;
  const std::map<std::string, std::string>& environment_;
  std::unique_ptr<keyspace::Keyspace> keyspace_;
  std::unique_ptr<store::ObjectStore> store_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<admin::HttpServer> admin_;
  std::vector<runtime::Address> admin_addresses_;
  runtime::Event stop_requested_;
  bool serving_ = false;
};

}  // namespace

int start_command(const StartArguments& arguments, const std::map<std::string, std::string>& environment) {
#ifdef WEIR_MIMALLOC
  mi_option_set(mi_option_decommit_delay, memory_return_delay_ms);
#endif
  auto config = read_config(arguments, environment);
  if (!config) {
    tell("weir: " + config.error().text);
    return exit_refused;
  }
  auto real = runtime::make_real_runtime(real_options(*config));
  if (!real) {
    tell("weir: " + real.error().text);
    return exit_refused;
  }
  Process process(**real, std::move(*config), environment);
  (*real)->on_terminate([&process](int) { process.on_signal(); });
  return (*real)->run([&process] { return process.run(); });
}

}  // namespace weir::app
