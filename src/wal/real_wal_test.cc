// The WAL on real files, two shards on their own threads, through both backends: order, bytes, locks and recovery.
#include <filesystem>

#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "runtime/scope.h"
#include "runtime/testing/co_assert.h"
#include "runtime/testing/real_world.h"
#include "wal/testing/wal_fixture.h"
#include "wal/wal.h"

namespace weir::wal::testing {
namespace {

using runtime::FileBackend;
using runtime::Task;
using runtime::testing::RealWorld;

constexpr int records_per_shard = 3000;
constexpr std::uint32_t segment_bytes = 1U << 20U;

/// Counts what came back on its own shard; `all` is pulsed at the end.
class CountingSink final : public ShardSink {
 public:
  void collect_statements(std::vector<Statement>& into) override {
    if (high_watermark > stated) into.push_back({.partition = which, .high_watermark = model::Offset(high_watermark)});
  }
  void records_durable(std::span<const DurableRecord> records, std::span<const Statement> statements) override {
    for (const DurableRecord& record : records) places.at(record.token.number) = record.place;
    count += records.size();
    high_watermark = static_cast<std::int64_t>(count);
    for (const Statement& statement : statements) stated = std::max(stated, statement.high_watermark.value());
    changed.pulse();
  }
  void records_failed(std::span<const RecordToken> records, const base::Error& why) override {
    ADD_FAILURE() << records.size() << " records failed: " << why.text;
  }
  model::TopicPartition which;
  std::vector<Place> places = std::vector<Place>(records_per_shard);
  std::size_t count = 0;
  std::int64_t high_watermark = 0;
  std::int64_t stated = 0;
  runtime::Event changed;
};

std::size_t size_of(int i) { return i % 500 == 7 ? 90000 : static_cast<std::size_t>(1 + i * 37 % 2000); }

Task<bool> produce(Wal* wal, std::uint32_t shard, CountingSink* sink) {
  Appender& appender = wal->appender(runtime::ShardId(shard));
  sink->which = partition(7, static_cast<int>(shard));
  for (int i = 0; i < records_per_shard; ++i) {
    const std::string text = payload_text(sink->which, i, size_of(i));
    const auto admitted = co_await appender.wait_admission(text.size(), runtime::no_deadline);
    EXPECT_OK(admitted);
    auto slot = appender.reserve(
        {.partition = sink->which, .epoch = model::LeaderEpoch(1), .base_offset = model::Offset(i), .offset_count = 1},
        text.size(), {.slot = 0, .number = static_cast<std::uint64_t>(i)});
    std::memcpy(slot.payload.data(), text.data(), text.size());
    static_cast<void>(appender.commit_record(slot, bytes::crc32c(bytes::as_bytes(text))));
    if (i % 64 == 0) co_await runtime::yield();
  }
  while (sink->count < records_per_shard) co_await sink->changed.wait();
  for (int i = 0; i < records_per_shard; i += 97) {
    const auto read = co_await appender.read(sink->places[static_cast<std::size_t>(i)]);
    EXPECT_OK(read);
    if (read) EXPECT_EQ(read->text(), payload_text(sink->which, i, size_of(i)));
  }
  co_return true;
}

Task<base::Result<void>> note_registered(std::uint32_t* registered, std::uint32_t count) {
  *registered = count;
  co_return base::Result<void>();
}

Task<void> run_session(runtime::Runtime* doors, Options options, std::uint32_t* registered,
                       std::vector<std::unique_ptr<CountingSink>>* sinks) {
  std::unique_ptr<Wal> wal = make_file_wal(*doors, identity(2), options);
  CO_ASSERT_OK(co_await wal->recover({}, nullptr));
  std::vector<ShardSink*> raw;
  for (auto& sink : *sinks) raw.push_back(sink.get());
  const auto started = co_await wal->start([registered](std::uint32_t n) { return note_registered(registered, n); }, raw);
  CO_ASSERT_OK(started);
  std::unique_ptr<Wal> second = make_file_wal(*doors, identity(9), options);
  EXPECT_FAILS(co_await second->recover({}, nullptr), base::ErrorKind::exists);
  runtime::Scope scope;
  for (std::uint32_t shard = 0; shard < doors->shards.size(); ++shard) {
    scope.spawn("producer", [](runtime::Runtime* d, Wal* w, std::uint32_t s, CountingSink* k) -> Task<void> {
      co_await runtime::submit_to(d->shard(runtime::ShardId(s)), [w, s, k] { return produce(w, s, k); });
    }(doors, wal.get(), shard, sinks->at(shard).get()));
  }
  co_await scope.join();
  EXPECT_OK(co_await wal->flush_statements());
  co_await wal->stop();
}

Task<void> recover_session(runtime::Runtime* doors, Options options, std::uint32_t registered) {
  std::unique_ptr<Wal> wal = make_file_wal(*doors, identity(3), options);
  const auto recovered = co_await wal->recover(
      {{.session = identity(2).session, .wal = identity(2).wal, .segment_count = registered, .segment_bytes = segment_bytes}},
      nullptr);
  CO_ASSERT_OK(recovered);
  EXPECT_EQ(recovered->groups_torn, 0U);
  const std::size_t shards = doors->shards.size();
  CO_ASSERT_TRUE(recovered->records.size() == records_per_shard * shards);
  CO_ASSERT_TRUE(recovered->statements.size() == shards);
  for (std::size_t i = 0; i < recovered->records.size(); ++i) {
    const RecordHeader& header = recovered->records[i].header;
    CO_ASSERT_TRUE(header.base_offset.value() == static_cast<std::int64_t>(i % records_per_shard));
    if (i % 97 != 0) continue;
    const auto read = co_await wal->appender(runtime::ShardId(0)).read(recovered->records[i].place);
    CO_ASSERT_OK(read);
    EXPECT_EQ(read->text(), payload_text(header.partition, header.base_offset.value(),
                                         size_of(static_cast<int>(header.base_offset.value()))));
  }
  for (const Statement& statement : recovered->statements) EXPECT_EQ(statement.high_watermark.value(), records_per_shard);
  co_await wal->stop();
}

template <class World>
class RealWal : public ::testing::Test {
 public:
  World world;
};
using Worlds = ::testing::Types<RealWorld<FileBackend::uring>, RealWorld<FileBackend::pwritev2>>;
TYPED_TEST_SUITE(RealWal, Worlds);

TYPED_TEST(RealWal, EveryRecordOfEveryShardIsDurableReadableAndRecovered) {
  const Options options{.directory = this->world.directory() + "/wal",
                        .size_bytes = 64U << 20U,
                        .segment_bytes = segment_bytes,
                        .group_bytes_max = 256U << 10U};
  runtime::Runtime* doors = &this->world.doors();
  std::uint32_t registered = 0;
  std::vector<std::unique_ptr<CountingSink>> sinks;
  for (std::size_t i = 0; i < doors->shards.size(); ++i) sinks.push_back(std::make_unique<CountingSink>());
  this->world.run([&] { return run_session(doors, options, &registered, &sinks); });
  EXPECT_GT(registered, 3U);
  this->world.run([&] { return recover_session(doors, options, registered); });
}

}  // namespace
}  // namespace weir::wal::testing
