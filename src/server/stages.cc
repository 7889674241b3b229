#include "server/stages.h"

#include <fmt/format.h>

#include "server/metrics_decl.h"

namespace weir::server {

const std::array<std::string_view, ProduceStages::stage_count> ProduceStages::names = {
    "frame_wait", "parse", "turn", "queue", "slot_wait", "device", "gate", "order_wait", "respond"};

ProduceStages::ProduceStages(runtime::Metrics& metrics) : added_(metrics.histogram(produce_added_seconds)) {
  for (std::size_t i = 0; i < stage_count; ++i) {
    stages_[i] = &metrics.histogram(produce_stage_seconds, fmt::format("stage=\"{}\"", names[i]));
  }
}

void ProduceStages::record(const model::RequestContext& ctx) {
  using model::Stage;
  if (ctx.at(Stage::confirmed) == base::MonoTime{}) return;
  const auto between = [&ctx](Stage from, Stage to) { return ctx.at(to) - ctx.at(from); };
  const base::Duration device = between(Stage::submitted, Stage::written);
  const std::array<base::Duration, stage_count> spent = {
      between(Stage::first_byte, Stage::received),
      between(Stage::taken, Stage::parsed) + between(Stage::begun, Stage::decoded),
      between(Stage::received, Stage::taken) + between(Stage::parsed, Stage::begun),
      between(Stage::decoded, Stage::appended),
      between(Stage::appended, Stage::submitted),
      device,
      between(Stage::written, Stage::durable),
      between(Stage::durable, Stage::confirmed),
      between(Stage::confirmed, Stage::responded),
  };
  for (std::size_t i = 0; i < stage_count; ++i) stages_[i]->record(spent[i]);
  added_.record(between(Stage::received, Stage::responded) - device);
}

}  // namespace weir::server
