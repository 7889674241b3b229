// log/testing/fake_wal.h: a WAL in memory whose groups complete in the order, and with the outcome, that a test chooses.
// Why:        order of confirmation, voids and recovery are judged under every order of completions without a device.
// Contract:   as wal.h. Records committed in one turn of a shard form one group, sealed (statements collected) at the next.
//             With `automatic` a group completes by itself at the turn after; else complete() and fail() decide. What has
//             completed is what recovered() gives to the next process; land() makes a group's bytes durable unseen.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "runtime/sync.h"
#include "wal/wal.h"

namespace weir::log::testing {

class FakeWal final : public wal::Wal {
 public:
  FakeWal(runtime::Runtime& runtime, model::SessionId session);
  ~FakeWal() override;

  // --- the test's side ---
  bool automatic = true;
  std::string sealed_why;                  ///< by seal_self
  std::size_t admit_bytes_max = SIZE_MAX;  ///< of payloads not released
  std::size_t payload_max = std::size_t{1} << 20U;
  bool reads_hang = false;  ///< reads wait until let_reads_go()
  [[nodiscard]] std::size_t groups_in_flight() const { return groups_.size(); }
  /// The n-th group in flight, oldest first.
  void complete(std::size_t n = 0);
  void complete_all();
  void fail(std::size_t n, base::ErrorKind kind);
  /// The n-th group's bytes are on the device although nobody was told.
  void land(std::size_t n);
  void let_reads_go();
  /// Calls the sinks as the appender does when its memory is full.
  void press_memory(std::size_t bytes);
  [[nodiscard]] std::size_t live_count() const { return live_.size(); }
  [[nodiscard]] std::size_t read_count() const { return read_count_; }
  [[nodiscard]] model::Offset uploaded_mark(const model::TopicPartition& id) { return uploaded_[id]; }
  /// Statements of the newest group that has completed.
  [[nodiscard]] const std::vector<wal::Statement>& last_statements() const { return last_statements_; }
  /// What a restart finds: everything that completed or landed, with the statements.
  [[nodiscard]] wal::RecoveredWal recovered() const;
  /// Carries the earlier process's bytes over: they stay readable and released by place.
  void inherit(const FakeWal& earlier);
  /// Loses the durable record at this offset, as rot of its group does.
  void rot(const model::TopicPartition& partition, model::Offset base);

  // --- wal::Wal ---
  runtime::Task<base::Result<wal::RecoveredWal>> recover(std::vector<wal::RegisteredWal> earlier,
                                                         std::function<void(std::uint64_t, std::uint64_t)> progress) override;
  runtime::Task<base::Result<void>> remove_session(model::SessionId session) override;
  [[nodiscard]] std::uint64_t live_records(model::SessionId session) const override;
  [[nodiscard]] std::uint64_t damaged_segments(model::SessionId /*session*/) const override { return 0; }
  runtime::Task<base::Result<void>> start(std::function<runtime::Task<base::Result<void>>(std::uint32_t)> register_segments,
                                          std::vector<wal::ShardSink*> sinks) override;
  wal::Appender& appender(runtime::ShardId shard) override;
  runtime::Task<base::Result<void>> flush_statements() override;
  [[nodiscard]] base::MonoTime last_durable() const override { return {}; }
  void seal_self(std::string why) override { sealed_why = std::move(why); }
  [[nodiscard]] std::uint64_t used_bytes() const override { return used_bytes_; }
  runtime::Task<void> stop() override;

 private:
  class FakeAppender;
  struct Stored {
    wal::RecordHeader header;
    wal::Place place;
    model::SessionId session;
    bytes::Buffer payload;
    bool durable = false;
  };
  struct Group {
    std::uint64_t id = 0;
    runtime::ShardId shard;
    std::vector<std::pair<wal::RecordToken, std::uint32_t>> records;  ///< token, number of the stored record
    std::vector<wal::Statement> statements;
    base::MonoTime submitted{};
  };
  void seal(runtime::ShardId shard);
  void finish(Group group);
  Group take(std::size_t n);
  void state_durably(const std::vector<wal::Statement>& statements);

  runtime::Runtime& runtime_;
  model::SessionId session_;
  std::vector<std::unique_ptr<FakeAppender>> appenders_;
  std::vector<wal::ShardSink*> sinks_;
  std::map<std::uint32_t, Stored> stored_;  ///< by place.offset_bytes, which is a running number
  std::set<std::uint32_t> live_;
  std::vector<Group> groups_;
  std::vector<wal::Statement> last_statements_;
  std::map<model::TopicPartition, model::Offset> durable_statements_;
  std::map<model::TopicPartition, model::Offset> uploaded_;
  std::uint32_t next_record_ = 1;
  std::uint64_t next_group_ = 1;
  std::uint64_t used_bytes_ = 0;
  std::size_t read_count_ = 0;
  runtime::Event reads_;
  runtime::Event admission_;
};

}  // namespace weir::log::testing
