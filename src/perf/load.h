// perf/load.h: an open-loop load on any Kafka: records at a fixed rate through librdkafka, latency from the intended send time.
// Why:        a driver that waits for a slow broker before it sends the next record hides what its users would have felt.
// Contract:   run() blocks; threads: one producer loop, one per consumer. Every record carries its intended time and a number, so
//             loss, duplication and reordering are seen while it runs.
// Limits:     the clients' own; records that the client's queue refuses are counted as late, never skipped.
// Tests:      perf/histogram_test.cc; bench/ runs it against weir and Apache Kafka.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "perf/histogram.h"

namespace weir::perf {

struct LoadOptions {
  std::string bootstrap;
  std::string topic;
  std::int32_t partition_count = 1;
  double records_per_second = 1000;  ///< 0: as fast as the client can (closed loop by its queue)
  std::uint32_t record_bytes = 1000;
  double warmup_seconds = 5;
  double seconds = 30;
  std::int32_t consumer_count = 1;                       ///< each reads everything
  std::map<std::string, std::string> producer_settings;  ///< librdkafka's names
  std::map<std::string, std::string> consumer_settings;
  /// Called on the producer's thread when the measured part of the load begins (true) and when its last record is sent (false).
  std::function<void(bool begins)> on_window;
};

struct LoadResult {
  Histogram produce_intended;  ///< intended send -> delivery report
  Histogram produce_actual;    ///< actual send -> delivery report
  Histogram end_to_end;        ///< intended send -> seen by a consumer
  std::uint64_t records_sent = 0;
  std::uint64_t records_delivered = 0;
  std::uint64_t records_failed = 0;
  std::uint64_t records_consumed = 0;
  std::uint64_t records_lost = 0;  ///< delivered, not seen by some consumer
  std::uint64_t records_duplicated = 0;
  std::uint64_t records_reordered = 0;
  double measured_seconds = 0;
  double bytes_per_second = 0;       ///< delivered of the measured part, over its length
  std::uint64_t measured_bytes = 0;  ///< of its records that were delivered
  std::string error;                 ///< of a client, empty: none
};

[[nodiscard]] LoadResult run_load(const LoadOptions& options);
/// One JSON object.
[[nodiscard]] std::string to_json(const LoadOptions& options, const LoadResult& result);

}  // namespace weir::perf
