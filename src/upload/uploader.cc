#include "upload/uploader.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "bytes/crc32c.h"
#include "object/object_key.h"
#include "runtime/submit.h"
#include "upload/metrics_decl.h"
#include "upload/uploader_impl.h"

namespace weir::upload {

using base::ErrorKind;
using runtime::ShardId;
using runtime::Task;

namespace {

constexpr base::Duration former_check_interval = std::chrono::seconds(1);

bool bytes_match(const object::Builder::Finished& object) {
  std::uint32_t crc = 0;
  for (const bytes::Buffer& piece : object.body) crc = bytes::crc32c(piece.view(), crc);
  return crc == object.crc32c;
}

}  // namespace

UploaderImpl::Cells UploaderImpl::make_cells(runtime::Metrics& metrics) {
  std::vector<runtime::Counter*> objects;
  for (std::size_t i = 0; i < cause_count; ++i) {
    objects.push_back(&metrics.counter(metric_objects, fmt::format("cause=\"{}\"", to_string(static_cast<Cause>(i)))));
  }
  return {.objects = std::move(objects),
          .bytes = metrics.counter(metric_bytes),
          .payload_bytes = metrics.counter(metric_payload_bytes),
          .build_seconds = metrics.histogram(metric_build_seconds),
          .put_seconds = metrics.histogram(metric_put_seconds),
          .commit_seconds = metrics.histogram(metric_commit_seconds),
          .put_failures = metrics.counter(metric_put_failures),
          .commit_failures = metrics.counter(metric_commit_failures),
          .rebuilds = metrics.counter(metric_rebuilds),
          .wal_read_bytes = metrics.counter(metric_wal_read_bytes),
          .wal_read_failures = metrics.counter(metric_wal_read_failures),
          .backlog_bytes = metrics.gauge(metric_backlog_bytes),
          .backlog_age = metrics.gauge(metric_backlog_age),
          .sessions_dropped = metrics.counter(metric_sessions_dropped),
          .held = metrics.counter(metric_held)};
}

UploaderImpl::UploaderImpl(Doors doors, std::vector<log::Shard*> shards, Naming naming, Options options,
                           std::function<void(const base::Error&)> on_fenced)
    : doors_(doors),
      shards_(std::move(shards)),
      naming_(naming),
      options_(options),
      on_fenced_(std::move(on_fenced)),
      cells_(make_cells(*doors.runtime.metrics)) {
  ENSURE(shards_.size() == doors_.runtime.shards.size(), "{} shards of {}", shards_.size(), doors_.runtime.shards.size());
}

void UploaderImpl::start(std::vector<model::SessionId> former) {
  former_ = std::move(former);
  scope_.spawn("upload", run());
}

Task<void> UploaderImpl::stop() {
  scope_.request_stop();
  wake_.pulse();
  co_await scope_.join();
}

Status UploaderImpl::status() const {
  return {.backlog_bytes = state_.backlog_bytes,
          .oldest_age = state_.oldest_age,
          .failures_in_row = failures_in_row_,
          .last_error = last_error_,
          .fenced = fenced_,
          .stuck_partitions = stuck_.size(),
          .former_sessions = former_.size()};
}

Task<void> UploaderImpl::run() {
  base::MonoTime looked_at = now();
  last_upload_at_ = looked_at;
  while (!scope_.stopping() && !fenced_) {
    const std::uint64_t before_bytes = state_.backlog_bytes;
    const std::vector<log::Shard::Backlog> backlogs = co_await look();
    const base::MonoTime at = now();
    const Cause cause = decide(options_.limits, uploadable());
    Turn turn = Turn::idle;
    const bool held = cause != Cause::none && cause != Cause::flush && doors_.hold && doors_.hold();
    if (held) cells_.held.add();
    if (cause != Cause::none && !held) {
      uploading_ = true;
      turn = co_await upload_one(cause, backlogs);
      last_upload_at_ = now();
      uploading_ = false;
    }
    co_await drop_former_sessions();
    if (turn == Turn::uploaded && flushing_) co_await look();
    progressed_.pulse();
    if (turn != Turn::idle && turn != Turn::again) continue;  // a backlog drains at full speed
    const base::Duration wait =
        cause != Cause::none ? poll_max : next_look(options_.limits, uploadable(), before_bytes, at - looked_at);
    looked_at = at;
    co_await wake_.wait(now() + wait, &scope_.stop_token());
  }
  progressed_.pulse();
}

Task<std::vector<log::Shard::Backlog>> UploaderImpl::look() {
  std::vector<log::Shard::Backlog> backlogs;
  BacklogState seen{.wal_used_bytes = doors_.wal.used_bytes()};
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    log::Shard* shard = shards_[i];
    backlogs.push_back(co_await runtime::submit_to(*doors_.runtime.shards[i], [shard] { return shard->backlog(); }));
    seen.backlog_bytes += backlogs.back().bytes;
    seen.oldest_age = std::max(seen.oldest_age, backlogs.back().oldest_age);
  }
  seen.flush = flushing_;
  state_ = seen;  // at once: flush() looks too
  cells_.backlog_bytes.set(static_cast<std::int64_t>(state_.backlog_bytes));
  cells_.backlog_age.set(std::chrono::duration_cast<std::chrono::seconds>(state_.oldest_age).count());
  co_return backlogs;
}

Task<UploaderImpl::Turn> UploaderImpl::upload_one(Cause cause, std::vector<log::Shard::Backlog> backlogs) {
  const base::MonoTime began = now();
  std::vector<ShardCollection> collections = co_await collect_all(std::move(backlogs));
  leave_out_stuck(collections);
  runtime::Reactor& reactor = runtime::Reactor::current();
  const std::uint64_t high = reactor.random();
  const model::ObjectId id{model::Uuid::from_random(high, reactor.random())};
  const BuildIdentity identity{.identity = {.cluster = naming_.cluster, .object = id},
                               .session = doors_.meta.session(),
                               .commit = doors_.meta.last_commit() + 1};
  // A small part of a large backlog is spread over group buffers that it would all keep alive.
  const bool copy = state_.backlog_bytes > options_.limits.size_bytes * 2;
  std::optional<BuiltObject> built = co_await build(identity, std::move(collections), copy);
  if (!built) {
    co_await abandon();
    co_return Turn::idle;
  }
  cells_.build_seconds.record(now() - began);
  meta::ObjectRecord record{.session = identity.session,
                            .commit = identity.commit,
                            .id = id,
                            .key = object::format_object_key({.cluster = naming_.cluster,
                                                              .incarnation = naming_.incarnation,
                                                              .session = identity.session,
                                                              .commit = identity.commit,
                                                              .id = id}),
                            .size_bytes = built->object.size_bytes,
                            .footer_position = built->object.footer_position,
                            .footer_bytes = built->object.footer_bytes,
                            .footer_crc = built->object.footer_crc,
                            .created_ms = reactor.wall_now_ms()};
  Turn turn = co_await put_object(record.key, built->object);
  if (turn == Turn::uploaded) {
    built->object.body.clear();
    turn = co_await commit(record);
  }
  if (turn != Turn::uploaded) {
    if (turn == Turn::again) cells_.rebuilds.add();
    co_await abandon();
    co_return turn;
  }
  all_from_wal_ = false;
  std::uint64_t payload_bytes = 0;
  for (const object::PartitionEntry& entry : built->object.footer.entries) payload_bytes += entry.payload_bytes;
  cells_.objects.at(static_cast<std::size_t>(cause))->add();
  cells_.bytes.add(record.size_bytes);
  cells_.payload_bytes.add(payload_bytes);
  uploaded_bytes_ += payload_bytes;
  doors_.runtime.log->debug("upload", "object committed",
                            {{"cause", to_string(cause)},
                             {"commit", record.commit.value()},
                             {"bytes", record.size_bytes},
                             {"partitions", built->object.footer.entries.size()}});
  co_await tell_committed(std::move(record), std::move(built->entries_by_shard));
  co_return Turn::uploaded;
}

Task<std::vector<ShardCollection>> UploaderImpl::collect_all(std::vector<log::Shard::Backlog> backlogs) {
  // Partitions that cannot be read are collected again and again: their bytes must not crowd out the others.
  std::uint64_t stuck_bytes = 0;
  for (const auto& [partition, stuck] : stuck_) stuck_bytes += stuck.bytes;
  const std::uint64_t total = std::max<std::uint64_t>(state_.backlog_bytes, 1);
  std::vector<ShardCollection> collections(shards_.size());
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (backlogs[i].bytes == 0) continue;
    log::Shard* shard = shards_[i];
    const double share = static_cast<double>(backlogs[i].bytes) / static_cast<double>(total);
    const auto share_bytes = static_cast<std::uint64_t>(static_cast<double>(options_.limits.size_bytes) * share) + 1;
    const CollectOptions options{.bytes_max = share_bytes + stuck_bytes,
                                 .reads_inflight_max = options_.wal_reads_inflight_max,
                                 .all_from_wal = all_from_wal_};
    ENSURE(collected_.insert(i).second, "shard {} has a collection outstanding", i);
    collections[i] =
        co_await runtime::submit_to(*doors_.runtime.shards[i], [shard, options] { return collect_from(shard, options); });
    cells_.wal_read_bytes.add(collections[i].wal_read_bytes);
  }
  co_return collections;
}

BacklogState UploaderImpl::uploadable() const {
  BacklogState state = state_;
  for (const auto& [partition, stuck] : stuck_) {
    if (stuck.retry_at <= now()) continue;
    state.backlog_bytes -= std::min(state.backlog_bytes, stuck.bytes);
    state.oldest_age = std::min(state.oldest_age, base::Duration(now() - last_upload_at_));
  }
  return state;
}

void UploaderImpl::leave_out_stuck(std::vector<ShardCollection>& collections) {
  std::map<model::TopicPartition, Stuck> stuck;
  for (ShardCollection& collection : collections) {
    for (FilledRun& run : collection.runs) {
      if (!run.failure) continue;
      cells_.wal_read_failures.add();
      stuck[run.entry.partition] = {.retry_at = now() + options_.stuck_retry_after, .bytes = run.bytes};
      doors_.runtime.log->error("upload", "a partition's records cannot be read from the WAL; it is left out of the object",
                                {{"topic", run.entry.partition.topic.to_string()},
                                 {"partition", run.entry.partition.partition.value()},
                                 {"offset", run.entry.base_offset.value()},
                                 {"error", run.failure->text}});
    }
  }
  // They come first in every collection that has room for them, so one that is not here is readable again or gone.
  stuck_ = std::move(stuck);
}

Task<UploaderImpl::Turn> UploaderImpl::put_object(std::string key, object::Builder::Finished& object) {
  const base::MonoTime began = now();
  bool compact = false;
  while (true) {
    const base::Result<void> put = co_await doors_.store.put(
        key, object.body, {.if_none_match = true, .crc32c = object.crc32c, .deadline = now() + options_.put_deadline});
    if (put) {
      cells_.put_seconds.record(now() - began);
      healthy();
      co_return Turn::uploaded;
    }
    cells_.put_failures.add();
    if (put.kind() == ErrorKind::exists) {
      // The name is fresh, so this is a store that kept a torn copy of ours: it is not touched, a new name is taken.
      doors_.runtime.log->error("upload", "the object's name holds other bytes; it is built anew under another name",
                                {{"key", key}, {"error", put.error().text}});
      co_return Turn::again;
    }
    if ((put.kind() == ErrorKind::invalid || put.kind() == ErrorKind::corrupt) && !bytes_match(object)) {
      doors_.runtime.log->error("upload", "bytes in memory do not match their checksum; the object is built anew from the WAL",
                                {{"key", key}});
      all_from_wal_ = true;
      co_return Turn::again;
    }
    if (!compact) {
      // An outage may last: the object must not keep group buffers from the producers.
      object.body = copied(std::move(object.body));
      compact = true;
    }
    if (!co_await back_off("PUT", key, put.error())) co_return Turn::stopped;
  }
}

Task<UploaderImpl::Turn> UploaderImpl::commit(meta::ObjectRecord& record) {
  const base::MonoTime began = now();
  while (true) {
    base::Result<meta::ObjectRecord> committed = co_await doors_.meta.commit_upload(record);
    if (committed) {
      cells_.commit_seconds.record(now() - began);
      record = std::move(*committed);
      healthy();
      co_return Turn::uploaded;
    }
    cells_.commit_failures.add();
    if (committed.kind() == ErrorKind::fenced) {
      fenced_ = true;
      last_error_ = committed.error().text;
      doors_.runtime.log->error("upload", "this session is sealed; nothing more is uploaded",
                                {{"error", committed.error().text}});
      on_fenced_(committed.error());
      co_return Turn::stopped;
    }
    // Whatever else it was, the same commit goes again: it may be applied already, so nothing else may take its number.
    if (!co_await back_off("commit", record.key, committed.error())) co_return Turn::stopped;
  }
}

Task<void> UploaderImpl::tell_committed(meta::ObjectRecord record,
                                        std::vector<std::vector<object::PartitionEntry>> entries_by_shard) {
  const std::set<std::size_t> collected = std::exchange(collected_, {});
  for (std::size_t i : collected) {
    log::Shard* shard = shards_[i];
    std::vector<object::PartitionEntry>* entries = &entries_by_shard[i];
    const meta::ObjectRecord* object = &record;
    co_await runtime::submit_to(*doors_.runtime.shards[i], [shard, object, entries] {
      if (entries->empty()) {
        shard->abandoned();
      } else {
        shard->committed(*object, *entries);
      }
    });
  }
}

Task<void> UploaderImpl::abandon() {
  const std::set<std::size_t> collected = std::exchange(collected_, {});
  for (std::size_t i : collected) {
    log::Shard* shard = shards_[i];
    co_await runtime::submit_to(*doors_.runtime.shards[i], [shard] { shard->abandoned(); });
  }
}

// A session with a damaged segment stays while any partition lacks records: its file may be all there is of them, and a read that
// failed today may succeed tomorrow (protocols: quarantine, and free nothing of it).
Task<void> UploaderImpl::drop_former_sessions() {
  if (former_.empty() || scope_.stopping() || now() < former_checked_ + former_check_interval) co_return;
  former_checked_ = now();
  std::vector<model::SessionId> kept;
  for (const model::SessionId& session : std::exchange(former_, {})) {
    if (doors_.wal.live_records(session) > 0 ||
        (doors_.wal.damaged_segments(session) > 0 && co_await log::lacks_records(doors_.runtime, shards_))) {
      kept.push_back(session);
      continue;
    }
    base::Result<void> dropped = co_await doors_.wal.remove_session(session);
    if (dropped) dropped = co_await doors_.meta.drop_session(session);
    if (dropped || dropped.kind() == ErrorKind::not_found) {
      cells_.sessions_dropped.add();
      doors_.runtime.log->info("upload", "the WAL of a former session is empty and deleted",
                               {{"session", session.to_string()}});
    } else {
      kept.push_back(session);
      doors_.runtime.log->warn("upload", "a former session could not be dropped yet",
                               {{"session", session.to_string()}, {"error", dropped.error().text}});
    }
  }
  former_ = std::move(kept);
}

Task<bool> UploaderImpl::back_off(std::string_view what, const std::string& key, const base::Error& error) {
  if (failures_in_row_++ == 0) failing_since_ = now();
  last_error_ = error.text;
  doors_.runtime.log->warn("upload", "an upload does not get through; the data are safe in the WAL and it is tried again",
                           {{"step", what},
                            {"failures", failures_in_row_},
                            {"kind", to_string(error.kind)},
                            {"error", error.text},
                            {"backlog_bytes", state_.backlog_bytes},
                            {"key", key}});
  co_await look();  // the gauges go on telling the truth while this lasts
  progressed_.pulse();
  const base::Duration wait = backoff(failures_in_row_, runtime::Reactor::current().random());
  co_return co_await runtime::sleep_for(wait, &scope_.stop_token()) != runtime::Wake::stopped;
}

void UploaderImpl::healthy() {
  if (failures_in_row_ > 0) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now() - failing_since_).count();
    doors_.runtime.log->info("upload", "uploads get through again",
                             {{"after_seconds", seconds}, {"failures", failures_in_row_}});
  }
  failures_in_row_ = 0;
  last_error_.clear();
}

Task<FlushOutcome> UploaderImpl::flush(base::MonoTime deadline, std::function<void(std::uint64_t, std::uint64_t)> progress) {
  const std::uint64_t before_bytes = uploaded_bytes_;
  flushing_ = true;
  wake_.pulse();
  std::uint64_t told_bytes = 0;
  while (!fenced_ && !scope_.stopping()) {
    if (!uploading_) {
      co_await look();
      if (uploadable().backlog_bytes == 0 && !uploading_) break;
    }
    if (co_await progressed_.wait(deadline, &scope_.stop_token()) != runtime::Wake::ready) break;
    const std::uint64_t done_bytes = uploaded_bytes_ - before_bytes;
    if (progress && done_bytes > told_bytes) progress(done_bytes, state_.backlog_bytes);
    told_bytes = done_bytes;
  }
  co_await look();
  flushing_ = false;
  co_return FlushOutcome{.left_bytes = state_.backlog_bytes, .uploaded_bytes = uploaded_bytes_ - before_bytes};
}

std::unique_ptr<Uploader> make_uploader(Doors doors, std::vector<log::Shard*> shards, Naming naming, Options options,
                                        std::function<void(const base::Error&)> on_fenced) {
  return std::make_unique<UploaderImpl>(doors, std::move(shards), naming, options, std::move(on_fenced));
}

std::unique_ptr<Uploader> make_uploader(Doors doors, log::Log& log, Naming naming, Options options,
                                        std::function<void(const base::Error&)> on_fenced) {
  std::vector<log::Shard*> shards;
  for (std::size_t i = 0; i < doors.runtime.shards.size(); ++i)
    shards.push_back(&log.shard(ShardId(static_cast<std::uint32_t>(i))));
  return make_uploader(doors, std::move(shards), naming, options, std::move(on_fenced));
}

}  // namespace weir::upload
