// cli/topic_analyze.cc: weir topic analyze: what a topic's batches look like.
// Why:        on object storage the bill and the latency hang on batch size and rate, not on bytes alone: many small batches cost a
//             broker's CPU, poor compression costs storage and network. The broker keeps batches as producers made them, so this is
//             read from the batches themselves.
// Contract:   reads raw batches of a window with Fetch, at most batch_count_max per partition from the window's start, and
//             decompresses them for the true size. Rates are over the time between the first and the last batch read.
// Limits:     fetch_bytes_max per request; batch_count_max.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "cli/admin.h"
#include "cli/commands.h"
#include "cli/offset_spec.h"
#include "cli/table.h"
#include "model/records.h"
#include "wire/fetch.h"

namespace weir::cli {
namespace {

using runtime::Task;

constexpr std::int32_t fetch_bytes_max = 8 << 20;
constexpr std::int16_t fetch_by_name_max = 12;  // version 13 names topics by id

struct Sum {
  std::vector<std::size_t> batch_bytes;
  std::uint64_t bytes = 0;
  std::uint64_t payload_bytes = 0;   ///< of the batches' records as they are stored
  std::uint64_t inflated_bytes = 0;  ///< the same, decompressed
  std::int64_t records = 0;
  std::int64_t first_ms = INT64_MAX;
  std::int64_t last_ms = INT64_MIN;
  std::set<std::string> codecs;

  void merge(const Sum& other) {
    batch_bytes.insert(batch_bytes.end(), other.batch_bytes.begin(), other.batch_bytes.end());
    bytes += other.bytes;
    payload_bytes += other.payload_bytes;
    inflated_bytes += other.inflated_bytes;
    records += other.records;
    first_ms = std::min(first_ms, other.first_ms);
    last_ms = std::max(last_ms, other.last_ms);
    codecs.insert(other.codecs.begin(), other.codecs.end());
  }
};

const char* codec_name(model::CompressionType type) {
  switch (type) {
    case model::CompressionType::none: return "none";
    case model::CompressionType::gzip: return "gzip";
    case model::CompressionType::snappy: return "snappy";
    case model::CompressionType::lz4: return "lz4";
    case model::CompressionType::zstd: return "zstd";
  }
  return "unknown";
}

// Adds the whole batches of `data` below `end`; gives the offset to go on at.
base::Result<std::int64_t> add_batches(bytes::Bytes data, std::int64_t at, std::int64_t end, std::uint32_t limit, Sum* sum) {
  while (!data.empty() && at < end && sum->batch_bytes.size() < limit) {
    const auto header = model::check_batch(data);
    if (!header) {
      if (header.error() == model::BatchFault::too_short) break;  // the answer's last batch may be cut off
      return base::fail(base::ErrorKind::corrupt, fmt::format("the batch at {}: {}", at, model::to_string(header.error())));
    }
    const bytes::Bytes batch = data.first(header->size_bytes());
    data = data.subspan(header->size_bytes());
    at = header->next_offset().value();
    if (header->is_control()) continue;
    auto inflated = model::inflate_records(batch, *header);
    if (!inflated) return std::unexpected(inflated.error());
    sum->batch_bytes.push_back(batch.size());
    sum->bytes += batch.size();
    sum->payload_bytes += batch.size() - model::batch_header_bytes;
    sum->inflated_bytes += inflated->size();
    sum->records += header->record_count;
    sum->first_ms = std::min(sum->first_ms, header->base_timestamp);
    sum->last_ms = std::max(sum->last_ms, header->max_timestamp);
    sum->codecs.insert(codec_name(header->compression()));
  }
  return at;
}

Task<base::Result<Sum>> read_window(Admin* admin, TopicPart part, std::int32_t leader, std::int64_t at, std::int64_t end,
                                    std::uint32_t limit) {
  Sum sum;
  auto client = co_await admin->broker(leader);
  if (!client) co_return std::unexpected(client.error());
  while (at < end && sum.batch_bytes.size() < limit) {
    wire::FetchRequest request;
    request.replica_id = model::NodeId(-1);
    request.max_wait_ms = 500;
    request.min_bytes = 1;
    request.max_bytes = fetch_bytes_max;
    request.topics.emplace_back();
    request.topics.back().topic = part.first;
    request.topics.back().partitions.emplace_back();
    auto& asked = request.topics.back().partitions.back();
    asked.partition = model::PartitionIndex(part.second);
    asked.fetch_offset = model::Offset(at);
    asked.partition_max_bytes = fetch_bytes_max;
    auto answer = co_await (*client)->call<wire::FetchResponse>(request, fetch_by_name_max);
    if (!answer) co_return std::unexpected(answer.error());
    const auto& responses = answer->message.responses;
    if (answer->message.error_code != model::ErrorCode::none || responses.empty() || responses.front().partitions.empty())
      co_return base::fail(base::ErrorKind::io, fmt::format("fetch: {}", model::to_string(answer->message.error_code)));
    const auto& got = responses.front().partitions.front();
    if (got.error_code != model::ErrorCode::none) co_return base::fail(base::ErrorKind::io, model::to_string(got.error_code));
    const std::int64_t before = at;
    if (!got.records.is_null()) {
      auto next = add_batches(got.records.view(), at, end, limit, &sum);
      if (!next) co_return std::unexpected(next.error());
      at = std::max(at, *next);
    }
    if (at == before) break;  // nothing more is there, whatever the end said
  }
  co_return sum;
}

std::size_t quantile(std::vector<std::size_t>& sorted, double q) {
  return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(q * static_cast<double>(sorted.size())))];
}

void add_row(Table* table, const std::string& topic, std::optional<std::int32_t> partition, Sum& sum) {
  std::vector<Cell> row = {topic, partition ? Cell(*partition) : Cell("all"), sum.batch_bytes.size(), sum.records, sum.bytes};
  if (sum.batch_bytes.empty()) {
    row.resize(14);
    table->add(std::move(row));
    return;
  }
  std::ranges::sort(sum.batch_bytes);
  const auto batches = static_cast<double>(sum.batch_bytes.size());
  const auto records = static_cast<double>(std::max<std::int64_t>(sum.records, 1));
  row.emplace_back(static_cast<double>(sum.bytes) / batches, 0);
  row.emplace_back(quantile(sum.batch_bytes, 0.5));
  row.emplace_back(quantile(sum.batch_bytes, 0.99));
  row.emplace_back(records / batches, 1);
  row.emplace_back(static_cast<double>(sum.inflated_bytes) / records, 0);
  row.emplace_back(fmt::format("{}", fmt::join(sum.codecs, ",")));
  row.emplace_back(static_cast<double>(sum.inflated_bytes) / static_cast<double>(std::max<std::uint64_t>(sum.payload_bytes, 1)),
                   2);
  const double seconds = static_cast<double>(sum.last_ms - sum.first_ms) / 1000;
  row.emplace_back(seconds > 0 ? Cell(batches / seconds, 2) : Cell());
  row.emplace_back(seconds > 0 ? Cell(static_cast<double>(sum.bytes) / seconds, 0) : Cell());
  table->add(std::move(row));
}

using Window = std::map<TopicPart, std::int64_t>;

// The offsets that a bound means in each partition.
Task<base::Result<Window>> resolve_all(Admin* admin, std::vector<TopicPart> parts, OffsetBound bound) {
  std::vector<std::pair<TopicPart, std::int64_t>> ask_start;
  std::vector<std::pair<TopicPart, std::int64_t>> ask_end;
  std::vector<std::pair<TopicPart, std::int64_t>> ask_time;
  for (const TopicPart& part : parts) {
    ask_start.emplace_back(part, time_start);
    ask_end.emplace_back(part, time_end);
    if (bound.from == OffsetBound::From::time) ask_time.emplace_back(part, bound.value);
  }
  auto starts = co_await admin->offsets_at(std::move(ask_start));
  if (!starts) co_return std::unexpected(starts.error());
  auto ends = co_await admin->offsets_at(std::move(ask_end));
  if (!ends) co_return std::unexpected(ends.error());
  auto times = co_await admin->offsets_at(std::move(ask_time));
  if (!times) co_return std::unexpected(times.error());
  Window offsets;
  for (const TopicPart& part : parts) {
    const std::int64_t at_time = times->contains(part) ? times->at(part).offset : -1;
    const std::int64_t start = starts->at(part).offset;
    const std::int64_t end = ends->at(part).offset;
    offsets[part] = std::clamp(resolve(bound, start, end, at_time), start, end);
  }
  co_return offsets;
}

Task<int> analyze(Admin* admin, const Common* common, const TopicAnalyze* options, OffsetSpec spec) {
  auto facts = co_await admin->cluster(options->names);
  if (!facts) co_return failed(facts.error());
  int code = exit_done;
  Table table({"topic", "partition", "batches", "records", "bytes", "batch_bytes_avg", "batch_bytes_p50", "batch_bytes_p99",
               "records_per_batch", "record_bytes_avg", "compression", "compression_ratio", "batches_per_second",
               "bytes_per_second"});
  for (const TopicFacts& topic : facts->topics) {
    if (topic.error != model::ErrorCode::none) {
      tell_error(fmt::format("{}: {}", topic.name, model::to_string(topic.error)));
      code = exit_failed;
      continue;
    }
    std::vector<TopicPart> parts;
    for (const PartitionFacts& partition : topic.partitions) {
      if (partition.leader >= 0) parts.emplace_back(topic.name, partition.index);
      if (partition.leader < 0)
        code = failed({base::ErrorKind::io, fmt::format("{}/{} has no leader", topic.name, partition.index)});
    }
    auto begins = co_await resolve_all(admin, parts, spec.begin);
    auto ends = co_await resolve_all(admin, parts, spec.end.value_or(OffsetBound{.from = OffsetBound::From::end}));
    if (!begins || !ends) co_return failed(!begins ? begins.error() : ends.error());
    Sum total;
    for (const PartitionFacts& partition : topic.partitions) {
      const TopicPart part{topic.name, partition.index};
      if (partition.leader < 0) continue;
      auto sum =
          co_await read_window(admin, part, partition.leader, begins->at(part), ends->at(part), options->batch_count_max);
      if (!sum) {
        tell_error(fmt::format("{}/{}: {}", part.first, part.second, sum.error().text));
        code = exit_failed;
        continue;
      }
      total.merge(*sum);
      if (options->partitions) add_row(&table, topic.name, partition.index, *sum);
    }
    add_row(&table, topic.name, std::nullopt, total);
  }
  std::fputs(common->json ? fmt::format("{{\"topics\":{}}}\n", table.json()).c_str() : table.text().c_str(), stdout);
  co_return code;
}

}  // namespace

int topic_analyze(const Common& common, const TopicAnalyze& options) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  auto spec = parse_offset_spec({options.window}, std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  if (!spec) {
    tell_error(spec.error().text);
    return exit_usage;
  }
  return with_admin(common, [&](Admin& admin) { return analyze(&admin, &common, &options, *spec); });
}

}  // namespace weir::cli
