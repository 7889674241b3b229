#include "log/testing/fake_wal.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "bytes/crc32c.h"

namespace weir::log::testing {

class FakeWal::FakeAppender final : public wal::Appender {
 public:
  FakeAppender(FakeWal& wal, runtime::ShardId shard) : wal_(wal), shard_(shard) {}

  [[nodiscard]] bool can_append(std::size_t payload_bytes) const override {
    return waiting_ == 0 && wal_.used_bytes_ + payload_bytes <= wal_.admit_bytes_max;
  }
  runtime::Task<base::Result<void>> wait_admission(std::size_t payload_bytes, base::MonoTime deadline) override {
    if (payload_bytes > wal_.payload_max) co_return base::fail(base::ErrorKind::invalid, "too large for a segment");
    ++waiting_;
    while (wal_.used_bytes_ + payload_bytes > wal_.admit_bytes_max) {
      if (co_await wal_.admission_.wait(deadline) == runtime::Wake::timeout) {
        --waiting_;
        co_return base::fail(base::ErrorKind::exhausted, "the WAL stayed full");
      }
    }
    --waiting_;
    co_return base::Result<void>();
  }
  [[nodiscard]] std::size_t payload_bytes_max() const override { return wal_.payload_max; }
  Reservation reserve(const wal::RecordHeader& header, std::size_t payload_bytes, wal::RecordToken token) override {
    ENSURE(!slab_, "a reservation is open");
    slab_ = bytes::SlabRef::allocate(payload_bytes);
    header_ = header;
    token_ = token;
    return {.payload = slab_.writable(), .id = 1};
  }
  bytes::Buffer commit_record(const Reservation& reservation, std::uint32_t crc) override {
    ENSURE(crc == bytes::crc32c(reservation.payload), "the payload's CRC is wrong");
    const std::uint32_t number = wal_.next_record_++;
    const std::size_t size = reservation.payload.size();
    bytes::Buffer payload(std::exchange(slab_, bytes::SlabRef()), 0, size);
    const wal::Place place{.segment = 1, .offset_bytes = number, .length_bytes = static_cast<std::uint32_t>(size), .crc = crc};
    wal_.stored_.emplace(number, Stored{.header = header_, .place = place, .session = wal_.session_, .payload = payload});
    wal_.live_.insert(number);
    wal_.used_bytes_ += size;
    open_.emplace_back(token_, number);
    if (open_.size() == 1) wal_.runtime_.shard(shard_).post([this] { wal_.seal(shard_); });
    return payload;
  }
  void release(std::span<const wal::Place> places) override {
    for (const wal::Place& place : places) {
      ENSURE(wal_.live_.erase(place.offset_bytes) == 1, "place {} is released twice", place.offset_bytes);
      wal_.used_bytes_ -= place.length_bytes;
    }
    wal_.admission_.pulse();
  }
  void uploaded_to(const model::TopicPartition& partition, model::Offset offset) override {
    wal_.uploaded_[partition] = offset;
  }
  runtime::Task<base::Result<bytes::Buffer>> read(wal::Place place) override {
    ++wal_.read_count_;
    while (wal_.reads_hang) co_await wal_.reads_.wait();
    const auto found = wal_.stored_.find(place.offset_bytes);
    // A released place may have been written anew: the check fails as it would on the device.
    if (found == wal_.stored_.end() || !wal_.live_.contains(place.offset_bytes)) {
      co_return base::fail(base::ErrorKind::corrupt, fmt::format("record {} of the fake WAL", place.offset_bytes));
    }
    co_return bytes::Buffer::copy_of(found->second.payload.view());
  }

  std::vector<std::pair<wal::RecordToken, std::uint32_t>> open_;

 private:
  FakeWal& wal_;
  runtime::ShardId shard_;
  bytes::SlabRef slab_;
  wal::RecordHeader header_;
  wal::RecordToken token_;
  std::size_t waiting_ = 0;
};

FakeWal::FakeWal(runtime::Runtime& runtime, model::SessionId session) : runtime_(runtime), session_(session) {
  for (std::uint32_t i = 0; i < runtime.shards.size(); ++i) {
    appenders_.push_back(std::make_unique<FakeAppender>(*this, runtime::ShardId(i)));
  }
}
FakeWal::~FakeWal() = default;

void FakeWal::seal(runtime::ShardId shard) {
  Group group{.id = next_group_++,
              .shard = shard,
              .records = std::exchange(appenders_[shard.value()]->open_, {}),
              .statements = {},
              .submitted = runtime_.shard(shard).now()};
  sinks_[shard.value()]->collect_statements(group.statements);
  for (const auto& [token, number] : group.records) stored_.at(number).place.lsn = model::Lsn(group.id);
  const std::uint64_t group_id = group.id;
  groups_.push_back(std::move(group));
  if (!automatic) return;
  runtime_.shard(shard).post([this, group_id] {
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      if (groups_[i].id == group_id) return complete(i);
    }
  });
}

FakeWal::Group FakeWal::take(std::size_t n) {
  Group group = std::move(groups_.at(n));
  groups_.erase(groups_.begin() + static_cast<std::ptrdiff_t>(n));
  return group;
}

void FakeWal::complete(std::size_t n) { finish(take(n)); }

void FakeWal::state_durably(const std::vector<wal::Statement>& statements) {
  for (const wal::Statement& statement : statements) {
    auto& stated = durable_statements_[statement.partition];
    stated = std::max(stated, statement.high_watermark);
  }
}

// Runs on the shard, as the lane reports.
void FakeWal::finish(Group group) {
  runtime::Reactor& home = runtime_.shard(group.shard);
  home.post([this, &home, written = home.now(), group = std::move(group)] {
    std::vector<wal::DurableRecord> records;
    for (const auto& [token, number] : group.records) {
      stored_.at(number).durable = true;
      records.push_back({.token = token,
                         .place = stored_.at(number).place,
                         .times = {.submitted = group.submitted, .written = written, .durable = home.now()}});
    }
    state_durably(group.statements);
    last_statements_ = group.statements;
    sinks_[group.shard.value()]->records_durable(records, group.statements);
  });
}

void FakeWal::complete_all() {
  while (!groups_.empty()) complete(0);
}

void FakeWal::fail(std::size_t n, base::ErrorKind kind) {
  Group group = take(n);
  runtime::Reactor& home = runtime_.shard(group.shard);
  home.post([this, group = std::move(group), kind] {
    std::vector<wal::RecordToken> tokens;
    for (const auto& [token, number] : group.records) {
      tokens.push_back(token);
      if (live_.erase(number) == 1) used_bytes_ -= stored_.at(number).place.length_bytes;
    }
    sinks_[group.shard.value()]->records_failed(tokens, {kind, "the device failed"});
  });
}

void FakeWal::land(std::size_t n) {
  for (const auto& [token, number] : groups_.at(n).records) stored_.at(number).durable = true;
  state_durably(groups_.at(n).statements);
}

void FakeWal::let_reads_go() {
  reads_hang = false;
  reads_.pulse();
}

void FakeWal::press_memory(std::size_t bytes) {
  for (std::size_t i = 0; i < sinks_.size(); ++i) {
    runtime_.shards[i]->post([sink = sinks_[i], bytes] { sink->memory_wanted(bytes); });
  }
}

wal::RecoveredWal FakeWal::recovered() const {
  wal::RecoveredWal out;
  for (const auto& [number, stored] : stored_) {
    if (!stored.durable || !live_.contains(number)) continue;
    wal::RecoveredRecord record{.header = stored.header, .place = stored.place, .session = stored.session};
    std::memcpy(record.batch_header.data(), stored.payload.data(), std::min(record.batch_header.size(), stored.payload.size()));
    out.records.push_back(record);
  }
  std::sort(out.records.begin(), out.records.end(), [](const auto& a, const auto& b) {
    return std::tuple(a.header.partition, a.header.base_offset, a.header.epoch, a.place.lsn) <
           std::tuple(b.header.partition, b.header.base_offset, b.header.epoch, b.place.lsn);
  });
  for (const auto& [partition, stated] : durable_statements_)
    out.statements.push_back({.partition = partition, .high_watermark = stated});
  return out;
}

void FakeWal::inherit(const FakeWal& earlier) {
  for (const auto& [number, stored] : earlier.stored_) {
    if (!stored.durable || !earlier.live_.contains(number)) continue;
    stored_.emplace(number, stored);
    live_.insert(number);
    used_bytes_ += stored.place.length_bytes;
  }
  durable_statements_ = earlier.durable_statements_;
  next_record_ = earlier.next_record_;
  next_group_ = earlier.next_group_;
}

void FakeWal::rot(const model::TopicPartition& partition, model::Offset base) {
  const auto found = std::find_if(stored_.begin(), stored_.end(), [&](const auto& item) {
    return item.second.header.partition == partition && item.second.header.base_offset == base;
  });
  ENSURE(found != stored_.end(), "no record at {}", base.value());
  if (live_.erase(found->first) == 1) used_bytes_ -= found->second.place.length_bytes;
  stored_.erase(found);
}

runtime::Task<base::Result<wal::RecoveredWal>> FakeWal::recover(std::vector<wal::RegisteredWal>,
                                                                std::function<void(std::uint64_t, std::uint64_t)>) {
  co_return recovered();
}
runtime::Task<base::Result<void>> FakeWal::remove_session(model::SessionId) { co_return base::Result<void>(); }
std::uint64_t FakeWal::live_records(model::SessionId session) const {
  return static_cast<std::uint64_t>(
      std::count_if(live_.begin(), live_.end(), [&](std::uint32_t number) { return stored_.at(number).session == session; }));
}
runtime::Task<base::Result<void>> FakeWal::start(std::function<runtime::Task<base::Result<void>>(std::uint32_t)>,
                                                 std::vector<wal::ShardSink*> sinks) {
  sinks_ = std::move(sinks);
  co_return base::Result<void>();
}
wal::Appender& FakeWal::appender(runtime::ShardId shard) { return *appenders_.at(shard.value()); }
runtime::Task<base::Result<void>> FakeWal::flush_statements() {
  for (std::uint32_t i = 0; i < sinks_.size(); ++i) seal(runtime::ShardId(i));
  co_return base::Result<void>();
}
runtime::Task<void> FakeWal::stop() { co_return; }

}  // namespace weir::log::testing
