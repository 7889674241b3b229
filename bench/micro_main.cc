// The steps of the hot path, each alone: what a change of one of them costs before a broker shows it.
//   build/release/bench/weir_micro                      figures: docs/performance.md
//   build/release/bench/weir_micro --benchmark_min_time=0.001   for function only, as the tests run it
#include <benchmark/benchmark.h>

#include "bytes/crc32c.h"
#include "log/core/producer_table.h"
#include "log/validate.h"
#include "model/records.h"
#include "runtime/real.h"
#include "wal/group.h"
#include "wire/fetch.h"
#include "wire/framing.h"
#include "wire/produce.h"

namespace weir {
namespace {

constexpr std::size_t large_bytes = 65000;

bytes::Buffer batch_of(std::size_t record_bytes, std::size_t record_count) {
  const std::string value(record_bytes, 'v');
  const std::vector<model::RecordInput> records(record_count, {.key = "k", .value = value, .timestamp = 1'800'000'000'000});
  model::BatchSpec spec;
  spec.producer_id = model::ProducerId(7);
  spec.producer_epoch = model::ProducerEpoch(0);
  spec.base_sequence = model::Sequence(0);
  return *model::build_batch(spec, records);
}

std::string flat(const bytes::BufferList& list) {
  std::string all;
  for (const bytes::Buffer& piece : list) all += bytes::as_text(piece.view());
  return all;
}

void counts_bytes(benchmark::State& state, std::size_t each) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(each));
}

void crc32c_64k(benchmark::State& state) {
  const std::string data(large_bytes, 'x');
  for (auto _ : state) benchmark::DoNotOptimize(bytes::crc32c(bytes::as_bytes(data)));
  counts_bytes(state, large_bytes);
}
BENCHMARK(crc32c_64k);

void validate_batch(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const bytes::Buffer batch = batch_of(large_bytes / count, count);
  for (auto _ : state) {
    const log::Validated seen = log::validate_batch(batch.view(), false);
    if (seen.error != log::Errc::none) state.SkipWithError("a good batch was refused");
  }
  counts_bytes(state, batch.size());
}
BENCHMARK(validate_batch)->Arg(1)->Arg(650);

void decode_produce(benchmark::State& state) {
  const auto partitions = state.range(0);
  const bytes::Buffer batch = batch_of(1000, 1);
  wire::ProduceRequest request{.acks = -1, .timeout_ms = 30000, .topic_data = {{.name = "topic"}}};
  for (std::int64_t i = 0; i < partitions; ++i)
    request.topic_data[0].partition_data.push_back(
        {.index = model::PartitionIndex(static_cast<std::int32_t>(i)), .records = wire::Records(batch.view())});
  const std::string frame = flat(*wire::encode_request(request, 12, 1, "client"));
  for (auto _ : state) {
    wire::Reader reader(bytes::as_bytes(frame).subspan(wire::frame_length_bytes));
    const auto header = wire::parse_request_header(reader);
    const auto decoded = wire::ProduceRequest::decode(reader, header->version);
    if (!decoded) state.SkipWithError("a good request was refused");
    benchmark::DoNotOptimize(decoded->topic_data.size());
  }
}
BENCHMARK(decode_produce)->Arg(1)->Arg(100);

void encode_fetch(benchmark::State& state) {
  const bytes::Buffer batch = batch_of(large_bytes, 1);
  for (auto _ : state) {
    wire::FetchResponse response;
    response.responses.emplace_back();
    response.responses[0].partitions.emplace_back();
    response.responses[0].partitions[0].records = wire::Records(bytes::BufferList{batch});
    const auto frame = wire::encode_response(response, 17, 1);
    benchmark::DoNotOptimize(frame->size());
  }
}
BENCHMARK(encode_fetch);

void producer_table(benchmark::State& state) {
  log::ProducerTable table;
  for (std::int64_t id = 0; id < 1000; ++id) {
    log::ProducerInput first{.producer_id = model::ProducerId(id), .epoch = model::ProducerEpoch(0)};
    first.base_sequence = first.last_sequence = model::Sequence(0);
    table.apply(first, model::Offset(id), model::Offset(id), 0, nullptr);
  }
  log::ProducerInput input{.producer_id = model::ProducerId(500), .epoch = model::ProducerEpoch(0)};
  std::int32_t sequence = 1;
  std::int64_t offset = 1000;
  for (auto _ : state) {
    input.base_sequence = input.last_sequence = model::Sequence(sequence);
    if (table.check(input).kind != log::ProducerVerdict::Kind::accept) state.SkipWithError("the next sequence was refused");
    table.apply(input, model::Offset(offset), model::Offset(offset), 0, nullptr);
    sequence = sequence == INT32_MAX ? 0 : sequence + 1;
    ++offset;
  }
}
BENCHMARK(producer_table);

// Header, table and their checksums of a group with so many records; the payloads are there already.
void seal_group(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  wal::Group group;
  group.slab = bytes::SlabRef::allocate(std::size_t{1} << 20U, bytes::io_alignment_bytes);
  for (auto _ : state) {
    group.records.clear();
    group.total_bytes = 0;
    group.fill_bytes = wal::group_header_bytes;
    for (std::size_t i = 0; i < count; ++i) {
      wal::RecordEntry entry;
      entry.payload_offset_bytes = static_cast<std::uint32_t>(group.fill_bytes);
      entry.payload_length_bytes = 1000;
      group.fill_bytes += 1000;
      group.records.push_back({.entry = entry, .token = {}});
    }
    group.seal();
    group.write_header({});
    benchmark::DoNotOptimize(group.pieces().size());
  }
}
BENCHMARK(seal_group)->Arg(1)->Arg(500);

// There and back between two reactors that sleep in between: what every hop of a lone request pays.
void shard_round_trip(benchmark::State& state) {
  auto machine = runtime::make_real_runtime({.shard_count = 2});
  if (!machine) {
    state.SkipWithError(machine.error().text.c_str());
    return;
  }
  runtime::RealRuntime* real = machine->get();
  for (auto _ : state) {
    real->run_on_shard0([real]() -> runtime::Task<int> {
      return runtime::submit_to(real->doors().shard(runtime::ShardId(1)), [] { return 1; });
    });
  }
}
BENCHMARK(shard_round_trip)->UseRealTime();

}  // namespace
}  // namespace weir

BENCHMARK_MAIN();
