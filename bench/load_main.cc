// bench/load_main.cc: weir_load, the command around perf/load.h. Prints one JSON object.
#include <cstdio>

#include <CLI/CLI.hpp>

#include "perf/load.h"

namespace {
void add_settings(const std::vector<std::string>& given, std::map<std::string, std::string>& into) {
  for (const std::string& item : given) {
    const std::size_t equals = std::min(item.find('='), item.size());
    into[item.substr(0, equals)] = equals < item.size() ? item.substr(equals + 1) : "";
  }
}
}  // namespace

int main(int argc, char** argv) {
  weir::perf::LoadOptions options;
  std::vector<std::string> producer;
  std::vector<std::string> consumer;
  CLI::App app{"An open-loop load on any Kafka; latency is counted from the intended send time."};
  app.add_option("--bootstrap-server", options.bootstrap)->required();
  app.add_option("--topic", options.topic)->required();
  app.add_option("--partitions", options.partition_count);
  app.add_option("--rate", options.records_per_second, "records per second; 0: as fast as the client can");
  app.add_option("--record-size", options.record_bytes, "bytes");
  app.add_option("--warmup", options.warmup_seconds, "seconds");
  app.add_option("--duration", options.seconds, "seconds");
  app.add_option("--consumers", options.consumer_count);
  app.add_option("--producer-config", producer, "NAME=VALUE of librdkafka");
  app.add_option("--consumer-config", consumer, "NAME=VALUE of librdkafka");
  app.add_flag_callback(
      "--announce",
      [&options] {
        options.on_window = [](bool begins) {
          std::puts(begins ? "window begins" : "window ends");
          (void)std::fflush(stdout);
        };
      },
      "print when the measured part begins and ends, for whoever reads the broker's CPU time");
  CLI11_PARSE(app, argc, argv);
  add_settings(producer, options.producer_settings);
  add_settings(consumer, options.consumer_settings);
  const weir::perf::LoadResult result = weir::perf::run_load(options);
  std::puts(weir::perf::to_json(options, result).c_str());
  return result.error.empty() && result.records_failed == 0 && result.records_lost == 0 ? 0 : 1;
}
