// upload/uploader_impl.h: the loop behind uploader.h. Private to upload/.
// Flow:       run() -> look at the backlogs -> upload_one(): collect_all() -> build() -> put_object() -> commit() -> tell the
// shards. Invariants: between collect_all() and finish()/abandon() exactly one collection is outstanding on each shard in
// collected_.
#pragma once

#include <map>
#include <set>

#include "runtime/scope.h"
#include "runtime/sync.h"
#include "upload/collect.h"
#include "upload/uploader.h"

namespace weir::upload {

class UploaderImpl final : public Uploader {
 public:
  UploaderImpl(Doors doors, std::vector<log::Shard*> shards, Naming naming, Options options,
               std::function<void(const base::Error&)> on_fenced);
  void start(std::vector<model::SessionId> former) override;
  runtime::Task<FlushOutcome> flush(base::MonoTime deadline,
                                    std::function<void(std::uint64_t, std::uint64_t)> progress) override;
  runtime::Task<void> stop() override;
  [[nodiscard]] Status status() const override;

 private:
  /// What became of one turn of the loop.
  enum class Turn : std::uint8_t { idle, uploaded, again, stopped };
  struct Cells {
    std::vector<runtime::Counter*> objects;  ///< by Cause
    runtime::Counter& bytes;
    runtime::Counter& payload_bytes;
    runtime::LatencyHistogram& build_seconds;
    runtime::LatencyHistogram& put_seconds;
    runtime::LatencyHistogram& commit_seconds;
    runtime::Counter& put_failures;
    runtime::Counter& commit_failures;
    runtime::Counter& rebuilds;
    runtime::Counter& wal_read_bytes;
    runtime::Counter& wal_read_failures;
    runtime::Gauge& backlog_bytes;
    runtime::Gauge& backlog_age;
    runtime::Counter& sessions_dropped;
    runtime::Counter& held;
  };
  struct Stuck {
    base::MonoTime retry_at;
    std::uint64_t bytes = 0;
  };
  static Cells make_cells(runtime::Metrics& metrics);

  [[nodiscard]] base::MonoTime now() const { return runtime::Reactor::current().now(); }
  runtime::Task<void> run();
  runtime::Task<std::vector<log::Shard::Backlog>> look();
  runtime::Task<Turn> upload_one(Cause cause, std::vector<log::Shard::Backlog> backlogs);
  runtime::Task<std::vector<ShardCollection>> collect_all(std::vector<log::Shard::Backlog> backlogs);
  /// What the triggers judge: without partitions that wait for their next try.
  [[nodiscard]] BacklogState uploadable() const;
  void leave_out_stuck(std::vector<ShardCollection>& collections);
  /// Sends the object until it is there. uploaded: it is; again: give it up and build anew; stopped.
  runtime::Task<Turn> put_object(std::string key, object::Builder::Finished& object);
  /// Sends the commit until it is decided.
  runtime::Task<Turn> commit(meta::ObjectRecord& record);
  runtime::Task<void> tell_committed(meta::ObjectRecord record,
                                     std::vector<std::vector<object::PartitionEntry>> entries_by_shard);
  runtime::Task<void> abandon();
  runtime::Task<void> drop_former_sessions();
  /// Waits after the n-th failure in a row; false: stopping.
  runtime::Task<bool> back_off(std::string_view what, const std::string& key, const base::Error& error);
  void healthy();

  Doors doors_;
  std::vector<log::Shard*> shards_;
  Naming naming_;
  Options options_;
  std::function<void(const base::Error&)> on_fenced_;
  Cells cells_;

  runtime::Scope scope_;
  runtime::Event wake_;              ///< pulsed when the loop should look now
  runtime::Event progressed_;        ///< pulsed after every turn that did something
  std::set<std::size_t> collected_;  ///< shards with an outstanding collection
  std::map<model::TopicPartition, Stuck> stuck_;
  std::vector<model::SessionId> former_;
  BacklogState state_;
  bool flushing_ = false;
  bool uploading_ = false;
  bool all_from_wal_ = false;  ///< the last object's bytes did not match the checksums of its batches
  bool fenced_ = false;
  std::uint32_t failures_in_row_ = 0;
  base::MonoTime failing_since_{};
  std::string last_error_;
  std::uint64_t uploaded_bytes_ = 0;
  base::MonoTime last_upload_at_{};
  base::MonoTime former_checked_{};
};

}  // namespace weir::upload
