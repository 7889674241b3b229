// Loading: the state of a partition's groups is what its log says.
#include <algorithm>

#include <fmt/format.h>

#include "base/ensure.h"
#include "groups/core/records.h"
#include "groups/partition.h"
#include "model/records.h"

namespace weir::groups {
using runtime::Task;

Task<void> Partition::load() {
  const base::MonoTime begun = reactor_.now();
  base::Duration pause = retry_pause;
  while (phase_ == Phase::loading) {
    auto loaded = co_await load_once();
    if (phase_ != Phase::loading) co_return;
    if (loaded) break;
    doors_.runtime.log->warn("groups", "groups cannot be loaded yet",
                             {{"partition", id_.partition.value()}, {"reason", loaded.error().text}});
    if (co_await runtime::sleep_for(pause, &scope_->stop_token()) == runtime::Wake::stopped) co_return;
    pause = std::min(pause * 2, retry_pause_max);
  }
  if (phase_ != Phase::loading) co_return;
  phase_ = Phase::active;
  make_groups();
  doors_.cells.loads.add();
  doors_.cells.load_time.record(reactor_.now() - begun);
  loaded_.set();
  maybe_checkpoint();
}

Task<base::Result<void>> Partition::load_once() {
  stored_ = StoredState();
  log_bytes_ = 0;
  const auto state = co_await doors_.log.state(id_);
  if (!state) co_return std::unexpected(state.error());
  // Also while its objects' footers are not there: until then an offset of zero says nothing.
  if (!state->quarantine_reason.empty()) co_return base::fail(base::ErrorKind::retry, state->quarantine_reason);
  // After a write of unknown outcome: only what is decided counts, and nothing may come behind what is read.
  if (appends_open_ > 0 || state->end != state->high_watermark)
    co_return base::fail(base::ErrorKind::retry, "batches are not decided yet");
  const model::Offset end = state->high_watermark;
  for (model::Offset at = state->log_start; at < end;) {
    const log::ReadOutcome outcome = co_await doors_.log.read(
        {.partition = id_, .offset = at, .max_bytes = doors_.options.load_bytes, .deadline = reactor_.now() + read_timeout});
    if (phase_ != Phase::loading) co_return base::fail(base::ErrorKind::cancelled, "the coordinator stops");
    if (outcome.error != log::Errc::none) {
      co_return base::fail(base::ErrorKind::retry, fmt::format("{}: {}", log::to_string(outcome.error), outcome.message));
    }
    if (outcome.end <= at) co_return base::fail(base::ErrorKind::corrupt, fmt::format("nothing at offset {}", at.value()));
    WEIR_CO_TRY(replay(outcome, at));
    at = outcome.end;
  }
  co_return base::Result<void>();
}

base::Result<void> Partition::replay(const log::ReadOutcome& outcome, model::Offset from) {
  bytes::Buffer all;
  if (outcome.batches.size() == 1) {
    all = outcome.batches.front();
  } else {
    std::string joined;
    joined.reserve(outcome.size_bytes);
    for (const bytes::Buffer& piece : outcome.batches) joined += piece.text();
    all = bytes::Buffer::copy_of(joined);
  }
  for (std::size_t at = 0; at < all.size();) {
    const bytes::Bytes rest = all.view().subspan(at);
    const auto header = model::peek_batch_header(rest);
    if (!header || header->size_bytes() > rest.size()) return base::fail(base::ErrorKind::corrupt, "a batch is cut off");
    WEIR_TRY(replay_batch(rest.first(header->size_bytes()), *header, from));
    at += header->size_bytes();
  }
  doors_.cells.loaded_bytes.add(all.size());
  log_bytes_ += all.size();
  return {};
}

base::Result<void> Partition::replay_batch(bytes::Bytes batch, const model::BatchHeader& header, model::Offset from) {
  if (header.is_control()) {
    auto marker = model::read_end_marker(batch);
    if (!marker) return std::unexpected(marker.error());
    stored_.end_transaction(header.producer_id, marker->commit);
    return {};
  }
  auto reader = model::RecordReader::open(batch);
  if (!reader) return std::unexpected(reader.error());
  StoredState::Source source;
  if (header.is_transactional()) source.transaction = header.producer_id;
  for (;;) {
    auto record = reader->next();
    if (!record) return std::unexpected(record.error());
    if (!*record) return {};
    if ((*record)->offset < from || !(*record)->key) continue;
    source.offset = (*record)->offset;
    auto applied = stored_.apply(*(*record)->key, (*record)->value, source);
    if (!applied) return applied;
    doors_.cells.loaded_records.add();
  }
}

void Partition::make_groups() {
  ENSURE(groups_.empty(), "groups are made over others");
  std::vector<std::pair<std::string, Effects>> follow_ups;
  for (const auto& [id, stored] : stored_.groups()) {
    Restored restored = restore_group(id, stored, doors_.options.limits, now());
    member_count_ += static_cast<std::int64_t>(restored.group.members.size());
    groups_.emplace(id, std::move(restored.group));
    follow_ups.emplace_back(id, std::move(restored.effects));
  }
  for (auto& [id, effects] : follow_ups) follow(id, groups_.at(id), std::move(effects));
  count_state();
}

}  // namespace weir::groups
