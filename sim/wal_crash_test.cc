// The WAL on the simulated disk, under a small log that keeps its rules: what was confirmed is there after every kill, power
// loss and I/O error, byte for byte; what was voided is not; nothing is quarantined that did not rot.
#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "runtime/scope.h"
#include "runtime/testing/co_assert.h"
#include "sim/testing.h"
#include "wal/core/recover_partition.h"
#include "wal/metrics_decl.h"
#include "wal/segment_files.h"
#include "wal/wal.h"

namespace weir::sim {
namespace {

using namespace std::chrono_literals;
using base::Result;
using runtime::Task;

constexpr std::int32_t partition_count = 3;
constexpr std::uint32_t segment_bytes = 256U << 10U;

model::Uuid uuid_of(std::uint64_t high, std::uint64_t low) { return model::Uuid::from_random(high, low); }

std::string payload_of(std::int32_t partition, std::int64_t offset, std::uint64_t value, std::size_t size) {
  std::string text = fmt::format("{}@{}={}|", partition, offset, value);
  for (std::uint64_t state = value; text.size() < size; state = state * 6364136223846793005ULL + 1442695040888963407ULL) {
    text.push_back(static_cast<char>(state >> 56U));
  }
  return text;
}

/// What no crash may touch: the keyspace, and what consumers have seen.
struct Truth {
  struct Part {
    std::vector<wal::HistoryEntry> history{{.epoch = model::LeaderEpoch(0), .start = model::Offset(0)}};
    std::int64_t uploaded = 0;
    std::map<std::int64_t, std::string> exposed;  ///< by base offset; each record covers one offset
    std::int64_t seen_end = 0;
  };
  std::array<Part, partition_count> parts;
  std::vector<wal::RegisteredWal> sessions;  ///< registered, oldest first
  std::set<std::string> failed;              ///< payloads that were reported as failed
  std::uint64_t next_value = 1;
  std::uint64_t confirmed = 0, voided = 0, recoveries = 0, removed_sessions = 0;
  model::TopicId topic{uuid_of(7, 7)};
  model::ClusterId cluster{uuid_of(1, 1)};
};

/// One run's log: confirms in order, states high watermarks, voids, uploads.
class MiniLog final : public wal::ShardSink {
 public:
  struct Pending {
    std::uint64_t number = 0;
    std::string payload;
    std::optional<wal::Place> place;
  };
  struct Part {
    std::int64_t hw = 0, next = 0, stated = 0;
    bool open = false;
    std::deque<Pending> pending;  ///< offsets hw..
    std::deque<wal::Place> tail;  ///< offsets uploaded..hw
    std::vector<wal::Place> dead;
  };
  MiniLog(Truth& truth, std::uint32_t shard) : truth_(truth), shard_(shard) {}
  [[nodiscard]] bool mine(std::int32_t p) const { return static_cast<std::uint32_t>(p) % 2 == shard_; }
  [[nodiscard]] model::TopicPartition id(std::int32_t p) const {
    return {.topic = truth_.topic, .partition = model::PartitionIndex(p)};
  }

  void collect_statements(std::vector<wal::Statement>& into) override {
    for (std::int32_t p = 0; p < partition_count; ++p) {
      const Part& part = parts[static_cast<std::size_t>(p)];
      if (!mine(p) || part.hw <= part.stated || part.hw <= truth(p).uploaded) continue;
      into.push_back({.partition = id(p), .high_watermark = model::Offset(part.hw)});
    }
  }
  void records_durable(std::span<const wal::DurableRecord> records, std::span<const wal::Statement> statements) override {
    for (const wal::Statement& s : statements) {
      Part& part = parts[static_cast<std::size_t>(s.partition.partition.value())];
      part.stated = std::max(part.stated, s.high_watermark.value());
    }
    for (const wal::DurableRecord& record : records) {
      Part& part = parts[record.token.slot];
      const auto at = std::find_if(part.pending.begin(), part.pending.end(),
                                   [&](const Pending& one) { return one.number == record.token.number; });
      if (at == part.pending.end()) {
        appender->release(std::array{record.place});  // void meanwhile
      } else {
        at->place = record.place;
      }
    }
    for (std::int32_t p = 0; p < partition_count; ++p) confirm(p);
  }
  void records_failed(std::span<const wal::RecordToken> records, const base::Error& why) override {
    if (why.kind == base::ErrorKind::fenced) return;
    for (const wal::RecordToken& token : records) {
      Part& part = parts[token.slot];
      const bool current =
          std::any_of(part.pending.begin(), part.pending.end(), [&](const Pending& one) { return one.number == token.number; });
      if (current) void_from_hw(static_cast<std::int32_t>(token.slot));
    }
  }
  void confirm(std::int32_t p) {
    Part& part = parts[static_cast<std::size_t>(p)];
    while (!part.pending.empty() && part.pending.front().place) {
      expose(p, part.hw, part.pending.front().payload);
      part.tail.push_back(*part.pending.front().place);
      part.pending.pop_front();
      ++part.hw;
      ++truth_.confirmed;
    }
  }
  void expose(std::int32_t p, std::int64_t offset, const std::string& payload) {
    Truth::Part& seen = truth(p);
    EXPECT_FALSE(truth_.failed.contains(payload)) << "a record that was reported as failed is seen";
    const auto [at, fresh] = seen.exposed.try_emplace(offset, payload);
    EXPECT_TRUE(fresh || at->second == payload) << "offset " << offset << " of " << p << " changed";
    EXPECT_LE(offset, seen.seen_end) << "a gap";
    seen.seen_end = std::max(seen.seen_end, offset + 1);
  }
  void void_from_hw(std::int32_t p) {
    Part& part = parts[static_cast<std::size_t>(p)];
    truth(p).history.push_back({.epoch = truth(p).history.back().epoch + 1, .start = model::Offset(part.hw)});
    part.stated = std::max(part.stated, part.hw);
    for (const Pending& one : part.pending) {
      truth_.failed.insert(one.payload);
      if (one.place) appender->release(std::array{*one.place});
    }
    truth_.voided += part.pending.size();
    part.pending.clear();
    part.next = part.hw;
  }
  void append(std::int32_t p, std::size_t size) {
    Part& part = parts[static_cast<std::size_t>(p)];
    if (!part.open) {
      truth(p).history.push_back({.epoch = truth(p).history.back().epoch + 1, .start = model::Offset(part.hw)});
      part.stated = std::max(part.stated, part.hw);
      part.open = true;
      appender->release(part.dead);
      part.dead.clear();
    }
    const std::uint64_t value = truth_.next_value++;
    Pending one{.number = value, .payload = payload_of(p, part.next, value, size), .place = std::nullopt};
    auto slot = appender->reserve({.partition = id(p),
                                   .epoch = truth(p).history.back().epoch,
                                   .base_offset = model::Offset(part.next),
                                   .offset_count = 1},
                                  one.payload.size(), {.slot = static_cast<std::uint32_t>(p), .number = value});
    std::memcpy(slot.payload.data(), one.payload.data(), one.payload.size());
    static_cast<void>(appender->commit_record(slot, bytes::crc32c(bytes::as_bytes(one.payload))));
    part.pending.push_back(std::move(one));
    ++part.next;
  }
  void upload(std::int32_t p) {
    Part& part = parts[static_cast<std::size_t>(p)];
    truth(p).uploaded = part.hw;
    appender->release(std::vector<wal::Place>(part.tail.begin(), part.tail.end()));
    part.tail.clear();
    appender->uploaded_to(id(p), model::Offset(part.hw));
  }
  Truth::Part& truth(std::int32_t p) { return truth_.parts[static_cast<std::size_t>(p)]; }

  std::array<Part, partition_count> parts;
  wal::Appender* appender = nullptr;

 private:
  Truth& truth_;
  std::uint32_t shard_;
};

wal::Options options() {
  return {.directory = "/dir/wal",
          .size_bytes = 24 * std::uint64_t{segment_bytes},
          .segment_bytes = segment_bytes,
          .group_bytes_max = 64U << 10U,
          .reappend_attempts_max = 1};
}

/// Opens every partition from what recovery found, and compares it with what had been seen.
Task<void> open_partitions(Truth* truth, wal::Wal* wal, const wal::RecoveredWal* recovered, std::vector<MiniLog*> logs) {
  for (std::int32_t p = 0; p < partition_count; ++p) {
    MiniLog& log = *logs.at(static_cast<std::size_t>(p) % 2);
    Truth::Part& part = truth->parts[static_cast<std::size_t>(p)];
    std::vector<wal::FoundRecord> found;
    for (std::size_t i = 0; i < recovered->records.size(); ++i) {
      const wal::RecoveredRecord& record = recovered->records[i];
      if (record.header.partition != log.id(p)) continue;
      found.push_back({.epoch = record.header.epoch,
                       .base_offset = record.header.base_offset,
                       .offset_count = record.header.offset_count,
                       .lsn = record.place.lsn.value(),
                       .index = i});
    }
    std::optional<model::Offset> witness;
    for (const wal::Statement& s : recovered->statements) {
      if (s.partition == log.id(p)) witness = s.high_watermark;
    }
    const wal::PartitionDecision decision = wal::recover_partition(
        {.uploaded_to = model::Offset(part.uploaded), .history = part.history, .records = found, .witness = witness});
    EXPECT_FALSE(decision.quarantine) << "partition " << p << ": E " << decision.end.value() << ", W "
                                      << decision.witness.value();
    EXPECT_GE(decision.end.value(), part.seen_end) << "what had been seen is gone";
    MiniLog::Part& own = log.parts[static_cast<std::size_t>(p)];
    std::int64_t offset = part.uploaded;
    for (const std::size_t index : decision.tail) {
      const wal::Place place = recovered->records[index].place;
      const auto read = co_await wal->appender(runtime::ShardId(0)).read(place);
      CO_ASSERT_OK(read);
      log.expose(p, offset++, std::string(read->text()));
      own.tail.push_back(place);
    }
    for (const std::size_t index : decision.dead) own.dead.push_back(recovered->records[index].place);
    own.hw = own.next = decision.end.value();
    own.stated = part.history.back().start.value();
    wal->appender(runtime::ShardId(0)).uploaded_to(log.id(p), model::Offset(part.uploaded));
  }
  ++truth->recoveries;
}

Task<void> drive(runtime::Runtime* doors, Truth* truth, MiniLog* log, std::uint64_t seed, std::uint32_t shard) {
  Rng rng(seed);
  for (int i = 0; i < 400; ++i) {
    for (std::int32_t p = 0; p < partition_count; ++p) {
      if (!log->mine(p)) continue;
      const std::size_t size = rng.percent(10) ? rng.between(20'000, 60'000) : rng.between(20, 3000);
      if (rng.percent(60) && log->appender->can_append(size + 64)) log->append(p, size);
      if (rng.percent(4)) log->upload(p);
    }
    if (rng.percent(80)) co_await runtime::sleep_for(std::chrono::microseconds(rng.between(1, 2000)));
  }
  static_cast<void>(doors);
  static_cast<void>(truth);
  static_cast<void>(shard);
}

Task<void> one_run(runtime::Runtime* doors, Truth* truth, std::uint64_t seed) {
  Rng rng(seed);
  const wal::Identity identity{
      .cluster = truth->cluster, .session = {uuid_of(rng.next(), rng.next())}, .wal = {uuid_of(rng.next(), rng.next())}};
  std::unique_ptr<wal::Wal> wal = wal::make_file_wal(*doors, identity, options());
  const std::vector<wal::RegisteredWal> earlier = truth->sessions;
  auto recovered = co_await wal->recover(earlier, nullptr);
  if (!recovered) {
    // An injected I/O error may stop a start; losing files or taking one broker for two may not.
    EXPECT_TRUE(recovered.kind() == base::ErrorKind::io || recovered.kind() == base::ErrorKind::exhausted)
        << recovered.error().text;
    co_return;
  }
  truth->sessions.push_back(
      {.session = identity.session, .wal = identity.wal, .segment_count = 0, .segment_bytes = segment_bytes});
  std::vector<std::unique_ptr<MiniLog>> logs;
  std::vector<MiniLog*> raw;
  std::vector<wal::ShardSink*> sinks;
  for (std::uint32_t shard = 0; shard < doors->shards.size(); ++shard) {
    logs.push_back(std::make_unique<MiniLog>(*truth, shard));
    logs.back()->appender = &wal->appender(runtime::ShardId(shard));
    raw.push_back(logs.back().get());
    sinks.push_back(logs.back().get());
  }
  co_await open_partitions(truth, wal.get(), &*recovered, raw);
  const auto started = co_await wal->start(
      [truth, identity](std::uint32_t count) -> Task<Result<void>> {
        for (wal::RegisteredWal& session : truth->sessions) {
          if (session.session == identity.session) session.segment_count = count;
        }
        co_return Result<void>();
      },
      sinks);
  if (!started) {
    co_await wal->stop();
    co_return;
  }
  runtime::Scope scope;
  for (std::uint32_t shard = 0; shard < doors->shards.size(); ++shard) {
    scope.spawn("driver", [](runtime::Runtime* d, Truth* t, MiniLog* log, std::uint64_t s, std::uint32_t number) -> Task<void> {
      co_await runtime::submit_to(d->shard(runtime::ShardId(number)),
                                  [d, t, log, s, number] { return drive(d, t, log, s, number); });
    }(doors, truth, raw.at(shard), rng.next(), shard));
  }
  co_await scope.join();
  for (const wal::RegisteredWal& session : earlier) {
    if (wal->live_records(session.session) != 0) continue;
    if (!co_await wal->remove_session(session.session)) continue;
    std::erase_if(truth->sessions, [&](const wal::RegisteredWal& s) { return s.session == session.session; });
    ++truth->removed_sessions;
  }
  static_cast<void>((co_await wal->flush_statements()).has_value());
  co_await wal->stop();
}

void count_cases(SimMachine& machine, std::map<std::string, std::uint64_t>& cases) {
  for (const runtime::MetricDecl* decl :
       {&wal::metric_reappends, &wal::metric_given_up, &wal::metric_torn_groups, &wal::metric_group_after_hole,
        &wal::metric_segments_retired, &wal::metric_recovered_stub, &wal::metric_write_failures, &wal::metric_no_space,
        &wal::metric_waiting_for_segment}) {
    cases[std::string(decl->name)] += machine.doors().metrics->counter(*decl).value();
  }
}

TEST(WalOnSimDisk, ConfirmedRecordsSurviveEveryCrashAndVoidedOnesNeverReturn) {
  std::map<std::string, std::uint64_t> cases;
  std::uint64_t confirmed = 0, voided = 0, recoveries = 0, removed = 0;
  for (std::uint64_t seed = 0; seed < 80; ++seed) {
    SimMachine machine(seed);
    Rng rng = machine.world.rng("test");
    Truth truth;
    for (int crash = 0; crash < 8; ++crash) {
      DiskProfile& profile = machine.host.disk().profile();
      profile.write_eio_ppm = rng.percent(40) ? 20'000 : 0;
      profile.write_enospc_ppm = rng.percent(20) ? 20'000 : 0;
      profile.sync_eio_ppm = rng.percent(10) ? 20'000 : 0;
      profile.slow_ppm = rng.percent(30) ? 20'000 : 0;
      const std::uint64_t run_seed = rng.next();
      machine.begin([&machine, &truth, run_seed] { return one_run(&machine.doors(), &truth, run_seed); });
      machine.world.arm_crash(CrashPoint::count_, rng.between(1, 1500), [&](Incarnation& victim, CrashPoint) {
        if (rng.percent(50)) {
          victim.owner().kill();
        } else {
          machine.host.lose_power();
        }
      });
      machine.world.run_for(1min);
      machine.world.disarm_crash();
      if (machine.process.running()) {
        count_cases(machine, cases);
        machine.process.kill();
      }
      if (rng.percent(50)) machine.host.lose_power();
      ASSERT_FALSE(HasFailure()) << "seed " << seed << ", crash " << crash;
    }
    machine.host.disk().profile() = {};
    const std::uint64_t before = truth.recoveries;
    machine.run([&] { return one_run(&machine.doors(), &truth, 1); });
    count_cases(machine, cases);
    EXPECT_EQ(truth.recoveries, before + 1) << "a healthy disk must open";
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
    confirmed += truth.confirmed;
    voided += truth.voided;
    recoveries += truth.recoveries;
    removed += truth.removed_sessions;
  }
  fmt::print("[ sim      ] {} confirmed, {} voided, {} recoveries, {} sessions removed\n", confirmed, voided, recoveries,
             removed);
  for (const auto& [name, count] : cases) fmt::print("[ sim      ]   {:<50} {}\n", name, count);
  EXPECT_GT(confirmed, 50'000U);
  EXPECT_GT(voided, 0U);
  EXPECT_GT(removed, 0U);
  for (const auto& [name, count] : cases) EXPECT_GT(count, 0U) << name << " never happened";
}

}  // namespace
}  // namespace weir::sim
