// server/stages.h: where the time of produce requests goes, stage by stage.
// Why:        "p99 is 9 ms" is a question; which stage took them is the answer. The stages of a request add up to its time in the broker.
// Place:      L8, one per Server, shared by the connections of all shards.
// Contract:   record() is called once per answered request, with all of its moments marked (model::Stage). A request counts when
//             everything that it asked for was appended and confirmed; by the batch that was confirmed last.
// Limits:     no reading of a clock: a moment is marked where one was read anyway. Ten histogram updates per produce request.
// Tests:      server/connection_test.cc; the marks of the path: wal/wal_test.cc, log/produce_test.cc, log/read_test.cc
#pragma once

#include <array>

#include "model/request_context.h"
#include "runtime/metrics.h"

namespace weir::server {

class ProduceStages {
 public:
  explicit ProduceStages(runtime::Metrics& metrics);
  void record(const model::RequestContext& ctx);

  static constexpr std::size_t stage_count = 9;
  static const std::array<std::string_view, stage_count> names;

 private:
  std::array<runtime::LatencyHistogram*, stage_count> stages_;
  runtime::LatencyHistogram& added_;
};

}  // namespace weir::server
