// cli/consume.cc: weir consume: records of a topic to standard output, from an offset or a time, without a group.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <set>

#include <fmt/core.h>

#include "cli/commands.h"
#include "cli/kafka_handle.h"
#include "cli/output.h"

namespace weir::cli {
namespace {

constexpr int ask_timeout_ms = 30000;

struct ListDelete {
  void operator()(rd_kafka_topic_partition_list_t* list) const { rd_kafka_topic_partition_list_destroy(list); }
};
using List = std::unique_ptr<rd_kafka_topic_partition_list_t, ListDelete>;

base::Result<std::vector<std::int32_t>> partitions_of(rd_kafka_t* consumer, const Consume& options) {
  if (options.partition >= 0) return std::vector<std::int32_t>{options.partition};
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
  return partitions;
}

base::Result<std::int64_t> parse_number(std::string_view text, const std::string& whole) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size()) return number;
  return base::fail(base::ErrorKind::invalid, fmt::format("--offset {}: start, end, N, -N or @MILLISECONDS", whole));
}

base::Result<void> set_offsets(rd_kafka_t* consumer, const Consume& options, rd_kafka_topic_partition_list_t* list) {
  if (options.offset.starts_with('@')) {
    auto time = parse_number(std::string_view(options.offset).substr(1), options.offset);
    if (!time) return std::unexpected(time.error());
    for (int i = 0; i < list->cnt; ++i) list->elems[i].offset = *time;
    const rd_kafka_resp_err_t error = rd_kafka_offsets_for_times(consumer, list, ask_timeout_ms);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return base::fail(base::ErrorKind::io, rd_kafka_err2str(error));
    for (int i = 0; i < list->cnt; ++i) {
      if (list->elems[i].offset < 0) list->elems[i].offset = RD_KAFKA_OFFSET_END;
    }
    return {};
  }
  std::int64_t offset = RD_KAFKA_OFFSET_BEGINNING;
  if (options.offset == "end") {
    offset = RD_KAFKA_OFFSET_END;
  } else if (options.offset != "start" && options.offset != "beginning") {
    auto number = parse_number(options.offset, options.offset);
    if (!number) return std::unexpected(number.error());
    offset = *number >= 0 ? *number : RD_KAFKA_OFFSET_TAIL(-*number);
  }
  for (int i = 0; i < list->cnt; ++i) list->elems[i].offset = offset;
  return {};
}

std::string headers_text(const rd_kafka_message_t* message) {
  rd_kafka_headers_t* headers = nullptr;
  std::string text;
  if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return text;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
    text += fmt::format("{}{}={}", i == 0 ? "" : ",", name,
                        std::string_view(static_cast<const char*>(value), value == nullptr ? 0 : size));
  }
  return text;
}

// The letters of kcat's format language.
void append_field(std::string& out, char letter, const rd_kafka_message_t* message) {
  const std::string_view key(static_cast<const char*>(message->key), message->key == nullptr ? 0 : message->key_len);
  const std::string_view value(static_cast<const char*>(message->payload), message->payload == nullptr ? 0 : message->len);
  switch (letter) {
    case 't': out += rd_kafka_topic_name(message->rkt); break;
    case 'p': out += std::to_string(message->partition); break;
    case 'o': out += std::to_string(message->offset); break;
    case 'k': out += key; break;
    case 's': out += value; break;
    case 'K': out += message->key == nullptr ? "-1" : std::to_string(key.size()); break;
    case 'S': out += message->payload == nullptr ? "-1" : std::to_string(value.size()); break;
    case 'T': out += std::to_string(rd_kafka_message_timestamp(message, nullptr)); break;
    case 'h': out += headers_text(message); break;
    case '%': out.push_back('%'); break;
    default: out.push_back('%'); out.push_back(letter);
  }
}

std::string format_record(const std::string& format, const rd_kafka_message_t* message) {
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] == '%' && i + 1 < format.size()) {
      append_field(out, format[++i], message);
    } else if (format[i] == '\\' && i + 1 < format.size()) {
      const char c = format[++i];
      out.push_back(c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c);
    } else {
      out.push_back(format[i]);
    }
  }
  return out;
}

std::string json_record(const rd_kafka_message_t* message) {
  const auto text = [](const void* data, std::size_t size) {
    return data == nullptr ? std::string("null") : json_string({static_cast<const char*>(data), size});
  };
  return fmt::format(R"({{"topic":{},"partition":{},"offset":{},"timestamp":{},"key":{},"value":{}}})",
                     json_string(rd_kafka_topic_name(message->rkt)), message->partition, message->offset,
                     rd_kafka_message_timestamp(message, nullptr), text(message->key, message->key_len),
                     text(message->payload, message->len)) +
         "\n";
}

}  // namespace

int consume(const Common& common, const Consume& options) {
  auto consumer = make_kafka(RD_KAFKA_CONSUMER,
                             {{"bootstrap.servers", common.bootstrap},
                              {"group.id", "weir-consume"},
                              {"enable.auto.commit", "false"},
                              {"enable.partition.eof", "true"},
                              {"auto.offset.reset", "error"},
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
  List list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions->size())));
  for (const std::int32_t partition : *partitions)
    rd_kafka_topic_partition_list_add(list.get(), options.topic.c_str(), partition);
  if (auto set = set_offsets(handle, options, list.get()); !set) {
    tell_error(set.error().text);
    return set.kind() == base::ErrorKind::invalid ? exit_usage : exit_failed;
  }
  rd_kafka_assign(handle, list.get());
  std::set<std::int32_t> ended;
  std::uint64_t seen = 0;
  int code = exit_done;
  while (options.count == 0 || seen < options.count) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(handle, 200);
    if (message == nullptr) {
      std::fflush(stdout);
      continue;
    }
    const rd_kafka_resp_err_t error = message->err;
    if (error == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      ended.insert(message->partition);
    } else if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      tell_error(rd_kafka_message_errstr(message));
      code = exit_failed;
    } else {
      ++seen;
      const std::string text =
          common.json ? json_record(message) : format_record(options.format.empty() ? "%s\\n" : options.format, message);
      if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) code = exit_failed;
    }
    rd_kafka_message_destroy(message);
    if (code != exit_done || (options.exit_at_end && ended.size() == partitions->size())) break;
  }
  std::fflush(stdout);
  rd_kafka_consumer_close(handle);
  return code;
}

}  // namespace weir::cli
