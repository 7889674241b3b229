// store/op_metrics.h: the cells of metrics_decl.h, looked up once, and the bookkeeping around one call.
// Contract:   any shard may record: cells are atomics. metrics may be null (tools): nothing is counted then.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "runtime/metrics.h"
#include "runtime/reactor.h"

namespace weir::store {

enum class Op : std::uint8_t { put, get, head, remove, list };
inline constexpr std::size_t op_count = 5;
[[nodiscard]] std::string_view to_string(Op op);

class OpMetrics {
 public:
  explicit OpMetrics(runtime::Metrics* metrics);
  /// One call of `op`, begun at `begin` on the current reactor, has ended.
  void record(Op op, base::MonoTime begin, const base::Error* error, std::uint64_t bytes);
  template <class T>
  void record(Op op, base::MonoTime begin, const base::Result<T>& result, std::uint64_t bytes) {
    record(op, begin, result ? nullptr : &result.error(), bytes);
  }

 private:
  enum class Outcome : std::uint8_t { ok, missing, exists, uncertain, failed };
  static constexpr std::size_t outcome_count = 5;
  static Outcome outcome_of(const base::Error* error);
  std::array<std::array<runtime::Counter*, outcome_count>, op_count> requests_{};
  runtime::LatencyHistogram* put_seconds_ = nullptr;
  runtime::LatencyHistogram* get_seconds_ = nullptr;
  runtime::Counter* put_bytes_ = nullptr;
  runtime::Counter* get_bytes_ = nullptr;
};

}  // namespace weir::store
