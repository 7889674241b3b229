#include "store/op_metrics.h"

#include <fmt/format.h>

#include "store/metrics_decl.h"

namespace weir::store {

std::string_view to_string(Op op) {
  switch (op) {
    case Op::put: return "put";
    case Op::get: return "get";
    case Op::head: return "head";
    case Op::remove: return "remove";
    case Op::list: return "list";
  }
  return "unknown";
}

OpMetrics::OpMetrics(runtime::Metrics* metrics) {
  if (metrics == nullptr) return;
  static constexpr std::array<std::string_view, outcome_count> outcomes{"ok", "missing", "exists", "uncertain", "failed"};
  for (std::size_t op = 0; op < op_count; ++op) {
    for (std::size_t outcome = 0; outcome < outcome_count; ++outcome) {
      requests_[op][outcome] = &metrics->counter(
          requests_total, fmt::format("op=\"{}\",outcome=\"{}\"", to_string(static_cast<Op>(op)), outcomes[outcome]));
    }
  }
  put_seconds_ = &metrics->histogram(request_seconds, "op=\"put\"");
  get_seconds_ = &metrics->histogram(request_seconds, "op=\"get\"");
  put_bytes_ = &metrics->counter(bytes_total, "direction=\"put\"");
  get_bytes_ = &metrics->counter(bytes_total, "direction=\"get\"");
}

OpMetrics::Outcome OpMetrics::outcome_of(const base::Error* error) {
  if (error == nullptr) return Outcome::ok;
  switch (error->kind) {
    case base::ErrorKind::not_found: return Outcome::missing;
    case base::ErrorKind::exists: return Outcome::exists;
    case base::ErrorKind::unknown_outcome: return Outcome::uncertain;
    default: return Outcome::failed;
  }
}

void OpMetrics::record(Op op, base::MonoTime begin, const base::Error* error, std::uint64_t bytes) {
  if (put_bytes_ == nullptr) return;
  requests_[static_cast<std::size_t>(op)][static_cast<std::size_t>(outcome_of(error))]->add();
  const base::Duration took = runtime::Reactor::current().now() - begin;
  if (op == Op::put) put_seconds_->record(took);
  if (op == Op::get) get_seconds_->record(took);
  if (error != nullptr) return;
  if (op == Op::put) put_bytes_->add(bytes);
  if (op == Op::get) get_bytes_->add(bytes);
}

}  // namespace weir::store
