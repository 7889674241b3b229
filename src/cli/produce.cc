// cli/produce.cc: weir produce: records from a file or standard input, each acknowledged before the command succeeds.
#include <cstdio>
#include <fstream>
#include <iostream>

#include <fmt/core.h>

#include "cli/commands.h"
#include "cli/kafka_handle.h"
#include "cli/output.h"

namespace weir::cli {
namespace {

struct Counts {
  std::uint64_t sent = 0;
  std::uint64_t failed = 0;
  std::string first_error;
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
bool next_record(std::istream& in, const std::string& delimiter, std::string& record) {
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

bool send(rd_kafka_t* producer, const Produce& options, const std::string& record, Counts& counts) {
  std::string_view value = record;
  std::string_view key;
  bool has_key = false;
  if (!options.key_delimiter.empty()) {
    const std::size_t at = value.find(options.key_delimiter);
    has_key = at != std::string_view::npos;
    if (has_key) {
      key = value.substr(0, at);
      value.remove_prefix(at + options.key_delimiter.size());
    }
  }
  for (;;) {
    rd_kafka_headers_t* headers = options.headers.empty() ? nullptr : rd_kafka_headers_new(options.headers.size());
    for (const std::string& header : options.headers) {
      const std::size_t equals = std::min(header.find('='), header.size());
      const std::string_view text = std::string_view(header).substr(std::min(equals + 1, header.size()));
      rd_kafka_header_add(headers, header.c_str(), static_cast<ssize_t>(equals), text.data(),
                          static_cast<ssize_t>(text.size()));
    }
// librdkafka's variadic macros use a GNU extension of C.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wgnu-statement-expression-from-macro-expansion"
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        producer, RD_KAFKA_V_TOPIC(options.topic.c_str()), RD_KAFKA_V_PARTITION(options.partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(has_key ? key.data() : nullptr, has_key ? key.size() : 0),
        RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
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

}  // namespace

int produce(const Common& common, const Produce& options) {
  Counts counts;
  auto producer = make_kafka(RD_KAFKA_PRODUCER,
                             {{"bootstrap.servers", common.bootstrap},
                              {"enable.idempotence", "true"},
                              {"compression.codec", options.compression},
                              {"linger.ms", "5"},
                              {"message.timeout.ms", "60000"}},
                             options.properties, configure, &counts);
  if (!producer) {
    tell_error(producer.error().text);
    return exit_usage;
  }
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
  std::string record;
  while (next_record(in, options.record_delimiter, record)) {
    if (!send(producer->get(), options, record, counts)) break;
    rd_kafka_poll(producer->get(), 0);
    if (counts.failed > 0) break;
  }
  while (rd_kafka_flush(producer->get(), 1000) == RD_KAFKA_RESP_ERR__TIMED_OUT && counts.failed == 0) {
    tell_error(fmt::format("waiting for {} acknowledgements from {}", rd_kafka_outq_len(producer->get()), common.bootstrap));
  }
  if (counts.failed > 0) {
    rd_kafka_purge(producer->get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(producer->get(), 1000);
    tell_error(fmt::format("{} records were acknowledged, then: {}", counts.sent, counts.first_error));
    return exit_failed;
  }
  if (common.json) std::puts(fmt::format(R"({{"topic":{},"records":{}}})", json_string(options.topic), counts.sent).c_str());
  return exit_done;
}

}  // namespace weir::cli
