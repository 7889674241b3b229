// wal/testing/wal_fixture.h: a Wal with sinks that write down what they are told, for the room's tests.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bytes/crc32c.h"
#include "runtime/testing/co_assert.h"
#include "runtime/testing/manual_runtime.h"
#include "wal/testing/memory_files.h"
#include "wal/wal.h"

namespace weir::wal::testing {

inline model::Uuid uuid(std::uint8_t n) {
  model::Uuid id;
  id.bytes.fill(n);
  return id;
}
inline model::TopicPartition partition(std::uint8_t topic, std::int32_t index = 0) {
  return {.topic = {uuid(topic)}, .partition = model::PartitionIndex(index)};
}
inline Identity identity(std::uint8_t session) {
  return {.cluster = {uuid(1)}, .session = {uuid(session)}, .wal = {uuid(static_cast<std::uint8_t>(session + 100))}};
}

/// A payload that says what it is.
inline std::string payload_text(const model::TopicPartition& p, std::int64_t offset, std::size_t size) {
  std::string text = fmt::format("{}/{}@{}:", p.topic.bytes[0], p.partition.value(), offset);
  while (text.size() < size) text.push_back(static_cast<char>('a' + text.size() % 26));
  text.resize(size);
  return text;
}

class RecordingSink final : public ShardSink {
 public:
  void collect_statements(std::vector<Statement>& into) override { into.insert(into.end(), stating.begin(), stating.end()); }
  void records_durable(std::span<const DurableRecord> records, std::span<const Statement> statements) override {
    for (const DurableRecord& record : records) {
      durable.push_back(record);
      places[record.token.number] = record.place;
    }
    for (const Statement& statement : statements) {
      stated.push_back(statement);
      std::erase_if(stating, [&](const Statement& s) {
        return s.partition == statement.partition && s.high_watermark <= statement.high_watermark;
      });
    }
    ++groups;
  }
  void records_failed(std::span<const RecordToken> records, const base::Error& why) override {
    for (const RecordToken& token : records) failed.push_back(token.number);
    last_error = why;
    if (!records.empty()) ++failed_groups;
  }
  bool memory_wanted(std::size_t) override {
    ++wanted;
    return on_wanted && on_wanted();
  }

  std::vector<Statement> stating;  ///< what the next groups must state
  std::vector<DurableRecord> durable;
  std::map<std::uint64_t, Place> places;
  std::vector<Statement> stated;
  std::vector<std::uint64_t> failed;
  base::Error last_error;
  std::size_t groups = 0;
  std::size_t failed_groups = 0;
  std::size_t wanted = 0;
  std::function<bool()> on_wanted;  ///< lets buffers go; false: there are none
};

/// One broker run on shared files: start it, append, crash it by destroying it after `abandon()`.
struct Broker {
  Broker(runtime::testing::ManualRuntime& rt, Identity id, Options options)
      : runtime(rt), wal(make_file_wal(rt.doors, id, options)) {
    for (std::size_t i = 0; i < rt.doors.shards.size(); ++i) sinks.push_back(std::make_unique<RecordingSink>());
  }
  RecordingSink& sink(std::size_t shard = 0) { return *sinks.at(shard); }
  Appender& appender(std::uint32_t shard = 0) { return wal->appender(runtime::ShardId(shard)); }

  base::Result<RecoveredWal> recover(std::vector<RegisteredWal> earlier = {}) {
    return runtime.run(wal->recover(std::move(earlier), nullptr));
  }
  base::Result<void> start() {
    std::vector<ShardSink*> raw;
    for (auto& s : sinks) raw.push_back(s.get());
    return runtime.run(wal->start([this](std::uint32_t n) { return do_register(n); }, std::move(raw)));
  }
  runtime::Task<base::Result<void>> do_register(std::uint32_t n) {
    co_await runtime::yield();
    if (register_error) co_return std::unexpected(*register_error);
    registered = n;
    co_return base::Result<void>();
  }
  /// Without suspension, on the appender's shard 0.
  bytes::Buffer append(const model::TopicPartition& p, std::int64_t offset, std::size_t size = 100, std::int32_t count = 1,
                       std::int32_t epoch = 1, std::uint32_t shard = 0) {
    const std::string text = payload_text(p, offset, size);
    Appender& to = appender(shard);
    auto reservation = to.reserve({.partition = p,
                                   .epoch = model::LeaderEpoch(epoch),
                                   .base_offset = model::Offset(offset),
                                   .offset_count = count,
                                   .kind = RecordKind::data},
                                  size, {.slot = 0, .number = next_number});
    ++next_number;
    std::memcpy(reservation.payload.data(), text.data(), size);
    return to.commit_record(reservation, bytes::crc32c(bytes::as_bytes(text)));
  }
  void stop() { runtime.run(stopping(wal.get())); }
  static runtime::Task<bool> stopping(Wal* wal) {
    co_await wal->stop();
    co_return true;
  }
  [[nodiscard]] RegisteredWal registration(const Identity& id, std::uint32_t segment_bytes) const {
    return {.session = id.session, .wal = id.wal, .segment_count = registered, .segment_bytes = segment_bytes};
  }

  runtime::testing::ManualRuntime& runtime;
  std::unique_ptr<Wal> wal;
  std::vector<std::unique_ptr<RecordingSink>> sinks;
  std::uint32_t registered = 0;
  std::optional<base::Error> register_error;
  std::uint64_t next_number = 1;
};

}  // namespace weir::wal::testing
