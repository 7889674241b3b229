// perf/options.h: what `weir perf` is asked to do, under the option names that people know from other Kafka load generators.
// Contract:   pure parsing; `expand_preset` changes only what was not given by hand (it runs before the options are parsed).
// Limits:     clients_max, pool_bytes_max.
// Tests:      perf/options_test.cc
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace weir::perf {

inline constexpr std::size_t clients_max = 2000;                        ///< each is a librdkafka client with threads of its own
inline constexpr std::size_t pool_bytes_max = std::size_t{256} << 20U;  ///< of prepared values
inline constexpr std::uint32_t record_bytes_max = 512U << 20U;

enum class Mode : std::uint8_t { fixed, sweep, maximum };

struct Options {
  std::string bootstrap = "127.0.0.1:9092";
  std::map<std::string, std::string> topic_configs;
  std::map<std::string, std::string> common_configs;    ///< librdkafka's names, of all clients
  std::map<std::string, std::string> producer_configs;  ///< over those
  std::map<std::string, std::string> consumer_configs;
  std::string topic_prefix = "weir-perf";
  std::string catchup_topic_prefix;  ///< topics that exist: read from their start, without building a backlog
  bool reset = false;                ///< delete the topics of the prefix first
  bool reuse_topics = false;
  int topics = 1;
  int partitions_per_topic = 1;
  int producers_per_topic = 1;
  int groups_per_topic = 1;
  int consumers_per_group = 1;
  bool subscribe = false;  ///< consumers join groups at the coordinator; else partitions are dealt out here
  std::string record_size = "1024";
  double random_ratio = 1;
  int random_pool_size = 100;
  std::string values_file;
  std::string send_rate = "1000";  ///< records per second, or with MB at its end megabytes per second
  std::string send_rate_during_catchup;
  double max_consume_record_rate = 0;  ///< of all consumers together; 0: no limit
  double backlog_seconds = 0;
  double group_start_delay_seconds = 0;
  double warmup_seconds = 5;
  double seconds = 30;
  double interval_seconds = 1;
  double step_seconds = 10;  ///< of each rate of a sweep
  Mode mode = Mode::fixed;
  std::vector<std::string> metrics;  ///< HOST:PORT of weir's admin listeners
  std::string price_file;
  std::string json_file;
  std::string html_file;
  std::string title;
  std::string preset;
};

/// Sizes of the records, equally likely: "1024", "100,1000,64000"; or a range, evenly spread: "100-2000".
[[nodiscard]] base::Result<std::vector<std::uint32_t>> record_sizes(std::string_view text, int count);
/// Records per second; a text in MB is divided by the mean size. 0 or "max": as fast as the clients can.
[[nodiscard]] base::Result<double> records_per_second(std::string_view text, double record_bytes_mean);
/// Seconds: "90s", "2m", "1h"; a bare number counts in `unit_seconds`.
[[nodiscard]] base::Result<double> duration_seconds(std::string_view text, double unit_seconds);
[[nodiscard]] std::string to_string(Mode mode);
/// fsx-4to1, small, ingest, catchup.
[[nodiscard]] base::Result<void> apply_preset(std::string_view name, Options& options);

}  // namespace weir::perf
