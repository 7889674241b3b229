// cli/consume.cc: weir consume: records of a topic to standard output, from and to an offset or a time, with or without a group.
// Contract:   a range's end and `-e` are the ends at the start of the command; a missing topic, a lost broker and a damaged batch
//             end it with exit code 1 and a reason.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <set>

#include <fmt/core.h>

#include "cli/commands.h"
#include "cli/kafka_handle.h"
#include "cli/offset_spec.h"
#include "cli/output.h"
#include "cli/record_format.h"

namespace weir::cli {
namespace {

constexpr int ask_timeout_ms = 30000;
constexpr int poll_ms = 200;

struct ListDelete {
  void operator()(rd_kafka_topic_partition_list_t* list) const { rd_kafka_topic_partition_list_destroy(list); }
};
using List = std::unique_ptr<rd_kafka_topic_partition_list_t, ListDelete>;

struct Range {
  std::int64_t begin = RD_KAFKA_OFFSET_BEGINNING;
  std::int64_t end = INT64_MAX;  ///< first offset that is not wanted
};
using Ranges = std::map<std::int32_t, Range>;

base::Result<std::vector<std::int32_t>> partitions_of(rd_kafka_t* consumer, const Consume& options) {
  rd_kafka_topic_t* topic = rd_kafka_topic_new(consumer, options.topic.c_str(), nullptr);
  const rd_kafka_metadata_t* metadata = nullptr;
  const rd_kafka_resp_err_t error = rd_kafka_metadata(consumer, 0, topic, &metadata, ask_timeout_ms);
  rd_kafka_topic_destroy(topic);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return base::fail(
        base::ErrorKind::io,
        fmt::format("{} (is the broker running? weir start, or --bootstrap-server HOST:PORT)", rd_kafka_err2str(error)));
  }
  std::vector<std::int32_t> partitions;
  std::string fault;
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    if (metadata->topics[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) fault = rd_kafka_err2str(metadata->topics[i].err);
    for (int p = 0; p < metadata->topics[i].partition_cnt; ++p) partitions.push_back(metadata->topics[i].partitions[p].id);
  }
  rd_kafka_metadata_destroy(metadata);
  if (!fault.empty() || partitions.empty()) {
    return base::fail(base::ErrorKind::not_found, fmt::format("{}: {}; weir topic list shows what there is", options.topic,
                                                              fault.empty() ? "no partitions" : fault));
  }
  std::ranges::sort(partitions);
  if (options.partitions.empty()) return partitions;
  for (const std::int32_t wanted : options.partitions) {
    if (!std::ranges::binary_search(partitions, wanted))
      return base::fail(base::ErrorKind::not_found, fmt::format("{} has no partition {}", options.topic, wanted));
  }
  return options.partitions;
}

base::Result<std::map<std::int32_t, std::int64_t>> offsets_for_time(rd_kafka_t* consumer, const std::string& topic,
                                                                    const std::vector<std::int32_t>& partitions,
                                                                    std::int64_t ms) {
  List list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (const std::int32_t partition : partitions)
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = ms;
  const rd_kafka_resp_err_t error = rd_kafka_offsets_for_times(consumer, list.get(), ask_timeout_ms);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return base::fail(base::ErrorKind::io, rd_kafka_err2str(error));
  std::map<std::int32_t, std::int64_t> offsets;
  for (int i = 0; i < list->cnt; ++i) offsets[list->elems[i].partition] = list->elems[i].offset;
  return offsets;
}

base::Result<Ranges> find_ranges(rd_kafka_t* consumer, const Consume& options, const OffsetSpec& spec,
                                 const std::vector<std::int32_t>& partitions) {
  Ranges ranges;
  if (spec == OffsetSpec{} && !options.exit_at_end) return ranges;  // from the start, without an end: nothing to ask for
  std::map<std::int32_t, std::int64_t> begin_times;
  std::map<std::int32_t, std::int64_t> end_times;
  for (auto [bound, times] : {std::pair{std::optional(spec.begin), &begin_times}, {spec.end, &end_times}}) {
    if (!bound || bound->from != OffsetBound::From::time) continue;
    auto found = offsets_for_time(consumer, options.topic, partitions, bound->value);
    if (!found) return std::unexpected(found.error());
    *times = std::move(*found);
  }
  for (const std::int32_t partition : partitions) {
    Range& range = ranges[partition];
    std::int64_t start = 0;
    std::int64_t end = 0;
    const rd_kafka_resp_err_t error =
        rd_kafka_query_watermark_offsets(consumer, options.topic.c_str(), partition, &start, &end, ask_timeout_ms);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
      return base::fail(base::ErrorKind::io, fmt::format("{}/{}: {}", options.topic, partition, rd_kafka_err2str(error)));
    const auto at_time = [partition](const auto& times) { return times.contains(partition) ? times.at(partition) : -1; };
    range.begin = resolve(spec.begin, start, end, at_time(begin_times));
    if (spec.end) range.end = resolve(*spec.end, start, end, at_time(end_times));
    if (options.exit_at_end) range.end = std::min(range.end, end);
  }
  return ranges;
}

HeaderViews headers_of(const rd_kafka_message_t* message) {
  HeaderViews views;
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return views;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
    views.emplace_back(
        name, value == nullptr ? std::nullopt : std::optional(std::string_view(static_cast<const char*>(value), size)));
  }
  return views;
}

std::optional<std::string_view> view_of(const void* data, std::size_t size) {
  if (data == nullptr) return std::nullopt;
  return std::string_view(static_cast<const char*>(data), size);
}

// A string, or null, or under NAME_base64 what JSON cannot carry.
std::string json_bytes(std::string_view name, const std::optional<std::string_view>& data) {
  if (!data) return fmt::format(R"("{}":null)", name);
  if (is_utf8(*data)) return fmt::format(R"("{}":{})", name, json_string(*data));
  return fmt::format(R"("{}_base64":"{}")", name, to_base64(*data, true));
}

std::string json_record(const RecordOut& record) {
  std::string headers;
  for (const auto& [name, value] : record.headers)
    headers += fmt::format(R"({}{{{},{}}})", headers.empty() ? "" : ",", json_bytes("key", name), json_bytes("value", value));
  return fmt::format("{{\"topic\":{},\"partition\":{},\"offset\":{},\"timestamp\":{},{},{},\"headers\":[{}]}}\n",
                     json_string(record.topic), record.partition, record.offset, record.timestamp_ms,
                     json_bytes("key", record.key), json_bytes("value", record.value), headers);
}

// Reads until the count, every range's end, or a failure.
class Reading {
 public:
  Reading(const Common& common, const Consume& options, RecordFormat format, rd_kafka_t* consumer)
      : common_(common), options_(options), format_(std::move(format)), consumer_(consumer) {}

  int assign(const std::vector<std::int32_t>& partitions, const Ranges& ranges) {
    List list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
    for (const std::int32_t partition : partitions) {
      const auto at = ranges.find(partition);
      const Range range = at == ranges.end() ? Range{} : at->second;
      if (range.begin >= 0 && range.begin >= range.end) continue;
      rd_kafka_topic_partition_list_add(list.get(), options_.topic.c_str(), partition)->offset = range.begin;
      if (range.end != INT64_MAX) ends_[partition] = range.end;
      open_.insert(partition);
    }
    bounded_ = ends_.size() == open_.size();
    if (open_.empty()) return exit_done;
    rd_kafka_assign(consumer_, list.get());
    return run();
  }

  int subscribe(std::size_t partition_count) {
    group_partitions_ = partition_count;
    List list(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(list.get(), options_.topic.c_str(), RD_KAFKA_PARTITION_UA);
    const rd_kafka_resp_err_t error = rd_kafka_subscribe(consumer_, list.get());
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      tell_error(rd_kafka_err2str(error));
      return exit_failed;
    }
    return run();
  }

 private:
  int run() {
    int code = exit_done;
    while (code == exit_done && !finished()) {
      rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer_, poll_ms);
      if (message == nullptr) {
        std::fflush(stdout);
        continue;
      }
      code = take(message);
      rd_kafka_message_destroy(message);
    }
    std::fflush(stdout);
    return code;
  }

  [[nodiscard]] bool finished() const {
    if (options_.count != 0 && seen_ >= options_.count) return true;
    if (group_partitions_ == 0) return bounded_ && open_.empty();
    return options_.exit_at_end && group_ended_ >= assigned_count();
  }

  // Of a group's member: it ends when it has seen the end of all that it was given.
  [[nodiscard]] std::size_t assigned_count() const {
    rd_kafka_topic_partition_list_t* list = nullptr;
    if (rd_kafka_assignment(consumer_, &list) != RD_KAFKA_RESP_ERR_NO_ERROR) return SIZE_MAX;
    const List owner(list);
    return list->cnt == 0 ? SIZE_MAX : static_cast<std::size_t>(list->cnt);
  }

  int take(const rd_kafka_message_t* message) {
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      if (group_partitions_ != 0 && ended_.insert(message->partition).second) ++group_ended_;
      // An aborted or control record may be the last one below the end: no message comes for it.
      if (const auto at = ends_.find(message->partition); at != ends_.end() && message->offset >= at->second)
        close(message->partition);
      return exit_done;
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      tell_error(rd_kafka_message_errstr(message));
      return exit_failed;
    }
    const auto at = ends_.find(message->partition);
    const std::int64_t end = at == ends_.end() ? INT64_MAX : at->second;
    if (message->offset >= end - 1) close(message->partition);
    if (message->offset >= end) return exit_done;
    return write(message);
  }

  int write(const rd_kafka_message_t* message) {
    RecordOut record{.topic = rd_kafka_topic_name(message->rkt),
                     .partition = message->partition,
                     .offset = message->offset,
                     .timestamp_ms = rd_kafka_message_timestamp(message, nullptr),
                     .number = static_cast<std::int64_t>(++seen_),
                     .key = view_of(message->key, message->key_len),
                     .value = view_of(message->payload, message->len),
                     .headers = headers_of(message)};
    std::string text;
    if (common_.json) {
      text = json_record(record);
    } else {
      write_record(format_, record, text);
    }
    if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return exit_done;
    tell_error("standard output does not take more");
    return exit_failed;
  }

  // What lies behind a range's end is not fetched any more.
  void close(std::int32_t partition) {
    if (open_.erase(partition) == 0) return;
    List list(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(list.get(), options_.topic.c_str(), partition);
    rd_kafka_pause_partitions(consumer_, list.get());
  }

  const Common& common_;
  const Consume& options_;
  RecordFormat format_;
  rd_kafka_t* consumer_;
  std::map<std::int32_t, std::int64_t> ends_;
  std::set<std::int32_t> open_;   ///< partitions whose range's end is not reached
  std::set<std::int32_t> ended_;  ///< partitions of a group whose end was seen
  std::size_t group_ended_ = 0;
  std::size_t group_partitions_ = 0;  ///< 0: without a group
  bool bounded_ = false;
  std::uint64_t seen_ = 0;
};

base::Result<std::pair<OffsetSpec, RecordFormat>> check(const Consume& options) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  auto spec = parse_offset_spec(options.offsets, std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  if (!spec) return std::unexpected(spec.error());
  auto format = parse_record_format(options.format.empty() ? "%v\\n" : options.format);
  if (!format) return std::unexpected(format.error());
  const bool plain = !spec->end && (spec->begin == OffsetBound{.from = OffsetBound::From::start} ||
                                    spec->begin == OffsetBound{.from = OffsetBound::From::end});
  if (!options.group.empty() && (!plain || !options.partitions.empty()))
    return base::fail(base::ErrorKind::invalid,
                      "--group: the group decides partitions and offsets; -o start or end says where it begins "
                      "when it has committed nothing");
  return std::pair{*spec, std::move(*format)};
}

}  // namespace

int consume(const Common& common, const Consume& options) {
  auto wanted = check(options);
  if (!wanted) {
    tell_error(wanted.error().text);
    return exit_usage;
  }
  const bool grouped = !options.group.empty();
  const bool from_end = wanted->first.begin.from == OffsetBound::From::end;
  auto consumer = make_kafka(RD_KAFKA_CONSUMER,
                             {{"bootstrap.servers", common.bootstrap},
                              {"group.id", grouped ? options.group : "weir-consume"},
                              {"enable.auto.commit", grouped ? "true" : "false"},
                              {"enable.partition.eof", "true"},
                              {"auto.offset.reset", !grouped   ? "error"
                                                    : from_end ? "latest"
                                                               : "earliest"},
                              {"allow.auto.create.topics", "false"}},
                             options.properties, nullptr, nullptr);
  if (!consumer) {
    tell_error(consumer.error().text);
    return exit_usage;
  }
  rd_kafka_t* handle = consumer->get();
  rd_kafka_poll_set_consumer(handle);
  auto partitions = partitions_of(handle, options);
  if (!partitions) {
    tell_error(partitions.error().text);
    return exit_failed;
  }
  Reading reading(common, options, std::move(wanted->second), handle);
  int code = exit_done;
  if (grouped) {
    code = reading.subscribe(partitions->size());
  } else {
    auto ranges = find_ranges(handle, options, wanted->first, *partitions);
    if (!ranges) {
      tell_error(ranges.error().text);
      return exit_failed;
    }
    code = reading.assign(*partitions, *ranges);
  }
  rd_kafka_consumer_close(handle);
  return code;
}

}  // namespace weir::cli
