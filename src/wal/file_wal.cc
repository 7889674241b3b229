// wal/file_wal.cc: the file kind of Wal: wires volume, book, files, lane and appenders together.
#include <algorithm>
#include <optional>

#include "base/ensure.h"
#include "runtime/submit.h"
#include "wal/appender.h"
#include "wal/gate.h"
#include "wal/lane.h"
#include "wal/recovery.h"
#include "wal/segment_files.h"

namespace weir::wal {
namespace {

class FileWal final : public Wal {
 public:
  FileWal(runtime::Runtime& runtime, const Identity& identity, Options options);
  ~FileWal() override { ENSURE(!volume_ || stopped_, "a Wal was destroyed without stop()"); }

  runtime::Task<base::Result<RecoveredWal>> recover(std::vector<RegisteredWal> earlier,
                                                    std::function<void(std::uint64_t, std::uint64_t)> progress) override;
  runtime::Task<base::Result<void>> remove_session(model::SessionId session) override { return files_.remove_session(session); }
  [[nodiscard]] std::uint64_t live_records(model::SessionId session) const override { return files_.needed_count(session); }
  [[nodiscard]] std::uint64_t damaged_segments(model::SessionId session) const override {
    return files_.damaged_count(session);
  }
  runtime::Task<base::Result<void>> start(std::function<runtime::Task<base::Result<void>>(std::uint32_t)> register_segments,
                                          std::vector<ShardSink*> sinks) override;
  Appender& appender(runtime::ShardId shard) override { return *appenders_.at(shard.value()); }
  runtime::Task<base::Result<void>> flush_statements() override;
  void seal_self(std::string why) override { lane_.seal(std::move(why)); }
  void relied_on_revision(std::uint64_t revision) override { lane_.relied_on_revision(revision); }
  [[nodiscard]] base::MonoTime last_durable() const override { return lane_.last_durable(); }
  [[nodiscard]] std::uint64_t used_bytes() const override { return files_.used_bytes(); }
  runtime::Task<void> stop() override;

 private:
  [[nodiscard]] static Options checked(Options options);
  [[nodiscard]] AppenderLimits limits() const;

  runtime::Runtime& runtime_;
  Identity identity_;
  Options options_;
  WalMetrics metrics_;
  Space space_;
  PrivateGate gate_;
  SegmentBook book_;
  SegmentFiles files_;
  Lane lane_;
  SlabBudget budget_;
  std::vector<std::unique_ptr<ShardAppender>> appenders_;
  std::optional<Volume> volume_;
  bool started_ = false;
  bool stopped_ = false;
};

Options FileWal::checked(Options options) {
  options.segment_bytes = effective_segment_bytes(options);
  const std::uint64_t room = options.segment_bytes - block_bytes;
  ENSURE(options.segment_bytes >= 16 * block_bytes, "WAL segments of {} bytes are too small", options.segment_bytes);
  ENSURE(options.inflight_writes_max > 0 && options.size_bytes >= options.segment_bytes, "a WAL of {} bytes",
         options.size_bytes);
  options.group_bytes_max =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(options.group_bytes_max, room / 2) / block_bytes * block_bytes);
  options.window_bytes = std::max<std::uint64_t>(options.window_bytes, std::uint64_t{options.segment_bytes});
  return options;
}

AppenderLimits FileWal::limits() const {
  const std::uint64_t shards = runtime_.shards.size();
  const std::uint32_t statements_max = std::clamp(options_.segment_bytes / 8 / statement_entry_bytes, 64U, 32768U);
  const std::uint64_t tables = round_up(table_bytes(1, statements_max), block_bytes) + 2 * block_bytes;
  return {.slab_bytes = options_.group_bytes_max,
          .queue_bytes_max =
              std::max<std::uint64_t>(options_.window_bytes / 2 / shards, 2 * std::uint64_t{options_.group_bytes_max}),
          .groups_max = options_.inflight_writes_max,
          .statements_max = statements_max,
          .payload_bytes_max = options_.segment_bytes - block_bytes - tables};
}

FileWal::FileWal(runtime::Runtime& runtime, const Identity& identity, Options options)
    : runtime_(runtime),
      identity_(identity),
      options_(checked(std::move(options))),
      metrics_(*runtime.metrics),
      book_(options_.segment_bytes, block_bytes),
      files_(runtime, identity, options_, book_, metrics_),
      lane_(runtime, identity, options_, book_, files_, gate_, space_, metrics_),
      budget_(options_.group_memory_bytes_max, 2 * std::uint64_t{options_.group_bytes_max}, runtime.shards.size()) {
  for (std::uint32_t shard = 0; shard < runtime.shards.size(); ++shard) {
    appenders_.push_back(
        std::make_unique<ShardAppender>(runtime, runtime::ShardId(shard), limits(), budget_, space_, metrics_));
  }
  std::vector<ShardAppender*> all;
  for (const auto& appender : appenders_) all.push_back(appender.get());
  for (ShardAppender* appender : all) appender->know(all);
  lane_.begin(std::move(all));
}

runtime::Task<base::Result<RecoveredWal>> FileWal::recover(std::vector<RegisteredWal> earlier,
                                                           std::function<void(std::uint64_t, std::uint64_t)> progress) {
  ENSURE(!volume_, "recover() is called once");
  Recovery recovery(runtime_, identity_, options_.directory, metrics_);
  const bool has_earlier =
      std::any_of(earlier.begin(), earlier.end(), [](const RegisteredWal& wal) { return wal.segment_count > 0; });
  auto volume = co_await recovery.open_volume(has_earlier);
  if (!volume) co_return std::unexpected(std::move(volume).error());
  auto recovered = co_await recovery.read_all(std::move(earlier), files_, book_, std::move(progress));
  if (!recovered) {
    co_await volume->file->close();
    co_return std::unexpected(std::move(recovered).error());
  }
  volume_ = std::move(*volume);
  // Reads of what was recovered work from here on, releases too; appends from start() on.
  for (std::uint32_t shard = 0; shard < appenders_.size(); ++shard) {
    ShardAppender* appender = appenders_[shard].get();
    co_await runtime::submit_to(runtime_.shard(runtime::ShardId(shard)),
                                [appender, lane = &lane_] { appender->begin(lane, nullptr); });
  }
  co_return recovered;
}

runtime::Task<base::Result<void>> FileWal::start(
    std::function<runtime::Task<base::Result<void>>(std::uint32_t)> register_segments, std::vector<ShardSink*> sinks) {
  ENSURE(volume_ && !started_, "start() follows recover(), once");
  ENSURE(sinks.size() == appenders_.size(), "{} sinks for {} shards", sinks.size(), appenders_.size());
  WEIR_CO_TRY(co_await files_.start(
      std::move(register_segments), [lane = &lane_] { lane->pump(); },
      [lane = &lane_](std::string why) { lane->seal(std::move(why)); }));
  started_ = true;
  lane_.pump();
  for (std::uint32_t shard = 0; shard < appenders_.size(); ++shard) {
    ShardAppender* appender = appenders_[shard].get();
    ShardSink* sink = sinks[shard];
    co_await runtime::submit_to(runtime_.shard(runtime::ShardId(shard)),
                                [appender, lane = &lane_, sink] { appender->begin(lane, sink); });
  }
  co_return base::Result<void>();
}

runtime::Task<base::Result<void>> FileWal::flush_statements() {
  base::Result<void> all;
  for (std::uint32_t shard = 0; shard < appenders_.size(); ++shard) {
    ShardAppender* appender = appenders_[shard].get();
    const bool even_empty = shard == 0;  // the probe wants one write that became durable
    base::Result<void> one = co_await runtime::submit_to(runtime_.shard(runtime::ShardId(shard)),
                                                         [appender, even_empty] { return appender->flush(even_empty); });
    if (!one && all) all = std::move(one);
  }
  co_return all;
}

runtime::Task<void> FileWal::stop() {
  if (stopped_) co_return;
  stopped_ = true;
  for (std::uint32_t shard = 0; shard < appenders_.size(); ++shard) {
    ShardAppender* appender = appenders_[shard].get();
    co_await runtime::submit_to(runtime_.shard(runtime::ShardId(shard)), [appender] {
      appender->refuse(base::Error{base::ErrorKind::cancelled, "the WAL is stopping"});
    });
  }
  lane_.begin_stop();
  for (std::uint32_t shard = 0; shard < appenders_.size(); ++shard) {
    ShardAppender* appender = appenders_[shard].get();
    co_await runtime::submit_to(runtime_.shard(runtime::ShardId(shard)), [appender] { return appender->drain(); });
  }
  co_await lane_.join();
  co_await files_.stop();
  co_await files_.close();
  if (volume_) co_await volume_->file->close();
}

}  // namespace

std::unique_ptr<Wal> make_file_wal(runtime::Runtime& runtime, Identity identity, Options options) {
  return std::make_unique<FileWal>(runtime, identity, std::move(options));
}

}  // namespace weir::wal
