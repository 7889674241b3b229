// cli/produce.cc: weir produce: records from a file or standard input, each acknowledged before the command succeeds.
// Contract:   idempotent unless --acks or a property says otherwise; the first record that fails ends the command with exit code 1
//             and the number of records that were acknowledged.
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>

#include <fmt/core.h>

#include "cli/commands.h"
#include "cli/kafka_handle.h"
#include "cli/output.h"
#include "cli/record_format.h"
#include "cli/record_json.h"

namespace weir::cli {
namespace {

struct Counts {
  std::uint64_t sent = 0;
  std::uint64_t failed = 0;
  std::string first_error;
  std::string input_fault;
};

void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  auto* counts = static_cast<Counts*>(opaque);
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    ++counts->sent;
    return;
  }
  if (counts->failed++ == 0) counts->first_error = rd_kafka_err2str(message->err);
}

void configure(rd_kafka_conf_t* conf, void* opaque) {
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  rd_kafka_conf_set_opaque(conf, opaque);
}

// The next record up to the delimiter (of one or more bytes); false at the end of the input.
bool next_delimited(std::istream& in, const std::string& delimiter, std::string& record) {
  record.clear();
  for (int c = in.get(); c != std::istream::traits_type::eof(); c = in.get()) {
    record.push_back(static_cast<char>(c));
    if (record.ends_with(delimiter)) {
      record.resize(record.size() - delimiter.size());
      return true;
    }
  }
  return !record.empty();
}

RecordIn split_key(const std::string& text, const std::string& delimiter) {
  RecordIn record;
  const std::size_t at = delimiter.empty() ? std::string::npos : text.find(delimiter);
  if (at != std::string::npos) record.key = text.substr(0, at);
  record.value = at == std::string::npos ? text : text.substr(at + delimiter.size());
  return record;
}

using Source = std::function<base::Result<std::optional<RecordIn>>()>;

base::Result<Source> make_source(const Produce& options, std::istream& in) {
  if (options.format.empty()) {
    return Source([&options, &in]() -> base::Result<std::optional<RecordIn>> {
      std::string text;
      if (!next_delimited(in, options.record_delimiter, text)) return std::optional<RecordIn>();
      return std::optional(split_key(text, options.key_delimiter));
    });
  }
  if (options.format == "json") {
    auto json = std::make_shared<JsonRecords>();
    return Source([json, &in, line = std::string(), number = 0]() mutable -> base::Result<std::optional<RecordIn>> {
      do {
        ++number;
        if (!std::getline(in, line)) return std::optional<RecordIn>();
      } while (line.empty());
      auto record = json->parse(line);
      if (!record) return base::with_context(fmt::format("line {} of the input", number), record.error());
      return std::optional(std::move(*record));
    });
  }
  WEIR_TRY_ASSIGN(RecordFormat format, parse_record_format(options.format));
  auto parser = RecordParser::make(std::move(format), in);
  if (!parser) return std::unexpected(parser.error());
  return Source([shared = std::make_shared<RecordParser>(std::move(*parser))] { return shared->next(); });
}

// The fixed headers come before a record's own.
rd_kafka_headers_t* make_headers(const Produce& options, const RecordIn& record) {
  if (options.headers.empty() && record.headers.empty()) return nullptr;
  rd_kafka_headers_t* headers = rd_kafka_headers_new(options.headers.size() + record.headers.size());
  for (const std::string& header : options.headers) {
    const std::size_t equals = std::min(header.find('='), header.size());
    const std::string_view text = std::string_view(header).substr(std::min(equals + 1, header.size()));
    rd_kafka_header_add(headers, header.c_str(), static_cast<ssize_t>(equals), text.data(), static_cast<ssize_t>(text.size()));
  }
  for (const auto& [name, value] : record.headers) {
    rd_kafka_header_add(headers, name.c_str(), static_cast<ssize_t>(name.size()), value ? value->data() : nullptr,
                        value ? static_cast<ssize_t>(value->size()) : 0);
  }
  return headers;
}

bool send(rd_kafka_t* producer, const Produce& options, const RecordIn& record, Counts& counts) {
  const std::string& topic = options.topic.empty() ? *record.topic : options.topic;
  const std::optional<std::string>& key = record.key ? record.key : options.key;
  const bool has_value = record.value && !(options.tombstones && record.value->empty());
  const std::int32_t partition = options.partition >= 0 ? options.partition : record.partition.value_or(RD_KAFKA_PARTITION_UA);
  for (;;) {
    rd_kafka_headers_t* headers = make_headers(options, record);
// librdkafka's variadic macros use a GNU extension of C.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wgnu-statement-expression-from-macro-expansion"
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        producer, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY((key ? key->data() : nullptr), (key ? key->size() : 0)),
        RD_KAFKA_V_VALUE((has_value ? const_cast<char*>(record.value->data()) : nullptr),
                         (has_value ? record.value->size() : 0)),
        RD_KAFKA_V_TIMESTAMP(record.timestamp_ms.value_or(0)), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
#pragma clang diagnostic pop
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
    if (headers != nullptr) rd_kafka_headers_destroy(headers);
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      counts.first_error = rd_kafka_err2str(error);
      ++counts.failed;
      return false;
    }
    rd_kafka_poll(producer, 100);
  }
}

// Sends what the source gives, up to its end or a fault of the input.
void send_all(rd_kafka_t* producer, const Produce& options, const Source& source, Counts& counts) {
  while (counts.failed == 0) {
    auto record = source();
    if (record && !*record) return;
    if (record && options.topic.empty() && !(*record)->topic)
      record = base::fail(base::ErrorKind::invalid, "a record without a topic");
    if (!record) {
      counts.input_fault = record.error().text;
      return;
    }
    if (!send(producer, options, **record, counts)) return;
    rd_kafka_poll(producer, 0);
  }
}

// Waits for what was handed over; an unanswered record fails by itself after message.timeout.ms. Told after 1, 2, 4, 8, ... s.
void settle(rd_kafka_t* producer, const std::string& bootstrap, const Counts& counts) {
  int waited_s = 0;
  int told_s = 1;
  while (rd_kafka_flush(producer, 1000) == RD_KAFKA_RESP_ERR__TIMED_OUT && counts.failed == 0) {
    if (++waited_s < told_s) continue;
    told_s *= 2;
    tell_error(fmt::format("waiting for {} acknowledgements from {} since {} s (does the topic exist, is the broker running?)",
                           rd_kafka_outq_len(producer), bootstrap, waited_s));
  }
  if (counts.failed == 0) return;
  rd_kafka_purge(producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_flush(producer, 1000);
}

}  // namespace

int produce(const Common& common, const Produce& options) {
  Counts counts;
  std::ifstream file;
  if (!options.file.empty()) {
    file.open(options.file, std::ios::binary);
    if (!file) {
      tell_error(fmt::format("{}: cannot be read", options.file));
      return exit_failed;
    }
  }
  std::istream& in = options.file.empty() ? std::cin : file;
  std::ios::sync_with_stdio(false);
  auto source = make_source(options, in);
  const bool all = options.acks == "all" || options.acks == "-1";
  auto producer = make_kafka(RD_KAFKA_PRODUCER,
                             {{"bootstrap.servers", common.bootstrap},
                              {"enable.idempotence", all ? "true" : "false"},
                              {"acks", options.acks},
                              {"compression.codec", options.compression},
                              {"linger.ms", "5"},
                              {"message.timeout.ms", "60000"}},
                             options.properties, configure, &counts);
  if (!source || !producer) {
    tell_error(!source ? source.error().text : producer.error().text);
    return exit_usage;
  }
  send_all(producer->get(), options, *source, counts);
  settle(producer->get(), common.bootstrap, counts);
  if (counts.failed > 0 || !counts.input_fault.empty()) {
    tell_error(fmt::format("{} records were acknowledged, then: {}", counts.sent,
                           counts.failed > 0 ? counts.first_error : counts.input_fault));
    return exit_failed;
  }
  if (common.json) std::puts(fmt::format(R"({{"topic":{},"records":{}}})", json_string(options.topic), counts.sent).c_str());
  return exit_done;
}

}  // namespace weir::cli
