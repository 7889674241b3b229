#include "perf/load.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <fmt/core.h>
#include <librdkafka/rdkafka.h>

#include "bytes/endian.h"
#include "perf/acknowledged.h"

namespace weir::perf {
namespace {

using Clock = std::chrono::steady_clock;

// The first bytes of each record's value.
struct Stamp {
  std::int64_t intended_us = 0;  ///< on the driver's clock: producer and consumers are one process
  std::int64_t number = 0;       ///< within its partition, from 0
};
constexpr std::size_t stamp_bytes = sizeof(Stamp);

std::int64_t now_us(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();
}

struct Shared {
  const LoadOptions* options = nullptr;
  Clock::time_point start;
  std::int64_t measure_from_us = 0;
  std::int64_t measure_to_us = 0;
  std::atomic<bool> stop{false};
  std::atomic<int> consumers_ready{0};
  std::vector<std::atomic<std::int64_t>> delivered;  ///< records delivered per partition
  std::mutex error_mutex;
  std::string error;
  void fail(const std::string& text) {
    const std::scoped_lock lock(error_mutex);
    if (error.empty()) error = text;
    stop = true;
  }
};

struct ProducerSide {
  Shared* shared = nullptr;
  LoadResult* result = nullptr;
};

void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  auto* side = static_cast<ProducerSide*>(opaque);
  const std::unique_ptr<Sent> sent(static_cast<Sent*>(message->_private));
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    ++side->result->records_failed;
    return;
  }
  ++side->result->records_delivered;
  ++side->shared->delivered[static_cast<std::size_t>(message->partition)];
  if (sent->intended_us < side->shared->measure_from_us || sent->intended_us >= side->shared->measure_to_us) return;
  const std::int64_t now = sent->acknowledged_us;
  side->result->produce_intended.record(now - sent->intended_us);
  side->result->produce_actual.record(now - sent->actual_us);
}

std::int64_t clock_of(ProducerSide* side) { return now_us(side->shared->start); }

rd_kafka_conf_t* make_conf(const std::string& bootstrap, const std::map<std::string, std::string>& defaults,
                           const std::map<std::string, std::string>& given, std::string& error) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  std::map<std::string, std::string> all = defaults;
  all["bootstrap.servers"] = bootstrap;
  for (const auto& [key, value] : given) all[key] = value;
  char text[512];
  for (const auto& [key, value] : all) {
    if (rd_kafka_conf_set(conf, key.c_str(), value.c_str(), text, sizeof text) != RD_KAFKA_CONF_OK) error = text;
  }
  return conf;
}

void consume(Shared* shared, Histogram* histogram, LoadResult* counts, std::vector<std::int64_t>* next) {
  const LoadOptions& options = *shared->options;
  std::string error;
  rd_kafka_conf_t* conf = make_conf(options.bootstrap,
                                    {{"group.id", "weir-load"},
                                     {"enable.auto.commit", "false"},
                                     {"fetch.wait.max.ms", "100"},
                                     {"fetch.error.backoff.ms", "5"},
                                     {"check.crcs", "false"}},
                                    options.consumer_settings, error);
  char text[512];
  rd_kafka_t* consumer = error.empty() ? rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text) : nullptr;
  if (consumer == nullptr) {
    shared->fail(error.empty() ? text : error);
    ++shared->consumers_ready;
    return;
  }
  rd_kafka_poll_set_consumer(consumer);
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(options.partition_count);
  for (std::int32_t p = 0; p < options.partition_count; ++p) {
    std::int64_t low = 0;
    std::int64_t high = 0;
    rd_kafka_query_watermark_offsets(consumer, options.topic.c_str(), p, &low, &high, 10000);
    rd_kafka_topic_partition_list_add(list, options.topic.c_str(), p)->offset = high;
  }
  rd_kafka_assign(consumer, list);
  rd_kafka_topic_partition_list_destroy(list);
  ++shared->consumers_ready;
  while (!shared->stop) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, 20);
    if (message == nullptr) continue;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) shared->fail(rd_kafka_message_errstr(message));
    } else if (message->len >= stamp_bytes) {
      Stamp stamp;
      std::memcpy(&stamp, message->payload, sizeof stamp);
      std::int64_t& expected = (*next)[static_cast<std::size_t>(message->partition)];
      ++counts->records_consumed;
      if (stamp.number < expected) ++counts->records_duplicated;
      if (stamp.number > expected) ++counts->records_reordered;  // a gap now; a late one would come as a duplicate
      expected = std::max(expected, stamp.number + 1);
      if (stamp.intended_us >= shared->measure_from_us && stamp.intended_us < shared->measure_to_us) {
        histogram->record(now_us(shared->start) - stamp.intended_us);
      }
    }
    rd_kafka_message_destroy(message);
  }
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
}

void produce(Shared* shared, rd_kafka_t* producer, rd_kafka_topic_t* topic, LoadResult* result) {
  const LoadOptions& options = *shared->options;
  std::vector<std::byte> value(std::max<std::size_t>(options.record_bytes, stamp_bytes));
  std::uint64_t noise = 0x9E3779B97F4A7C15ULL;  // incompressible, cheap
  for (std::byte& b : value)
    b = static_cast<std::byte>((noise = noise * 6364136223846793005ULL + 1442695040888963407ULL) >> 56U);
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(options.partition_count), 0);
  const bool paced = options.records_per_second > 0;
  bool measuring = false;
  for (std::int64_t i = 0; !shared->stop; ++i) {
    std::int64_t actual = now_us(shared->start);
    std::int64_t intended =
        paced ? static_cast<std::int64_t>(static_cast<double>(i) * 1e6 / options.records_per_second) : actual;
    if (intended >= shared->measure_to_us) break;
    while (paced && actual < intended) {
      rd_kafka_poll(producer, intended - actual > 2000 ? 1 : 0);
      actual = now_us(shared->start);
      if (intended - actual > 200) std::this_thread::sleep_for(std::chrono::microseconds(intended - actual - 100));
      actual = now_us(shared->start);
    }
    if (!measuring && intended >= shared->measure_from_us) {
      measuring = true;
      if (options.on_window) options.on_window(true);
    }
    const auto partition = static_cast<std::int32_t>(i % options.partition_count);
    const Stamp stamp{.intended_us = intended, .number = numbers[static_cast<std::size_t>(partition)]++};
    std::memcpy(value.data(), &stamp, sizeof stamp);
    auto sent = std::make_unique<Sent>(Sent{.intended_us = intended, .actual_us = actual});
    while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, value.data(), value.size(), nullptr, 0, sent.get()) != 0) {
      if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        shared->fail(rd_kafka_err2str(rd_kafka_last_error()));
        return;
      }
      rd_kafka_poll(producer, 1);
    }
    (void)sent.release();  // on_delivery takes it
    ++result->records_sent;
    rd_kafka_poll(producer, 0);
  }
  if (measuring && options.on_window) options.on_window(false);
  rd_kafka_flush(producer, 60000);
}

void wait_for_consumers(Shared* shared, const std::vector<std::vector<std::int64_t>>& next) {
  const auto deadline = Clock::now() + std::chrono::seconds(30);
  const auto caught_up = [&] {
    for (const auto& of_consumer : next) {
      for (std::size_t p = 0; p < of_consumer.size(); ++p) {
        if (of_consumer[p] < shared->delivered[p]) return false;
      }
    }
    return true;
  };
  while (!shared->stop && !caught_up() && Clock::now() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

}  // namespace

LoadResult run_load(const LoadOptions& options) {
  LoadResult result;
  Shared shared;
  shared.options = &options;
  shared.delivered = std::vector<std::atomic<std::int64_t>>(static_cast<std::size_t>(options.partition_count));
  shared.measure_from_us = static_cast<std::int64_t>(options.warmup_seconds * 1e6);
  shared.measure_to_us = shared.measure_from_us + static_cast<std::int64_t>(options.seconds * 1e6);
  shared.start = Clock::now();

  ProducerSide side{.shared = &shared, .result = &result};
  rd_kafka_conf_t* conf =
      make_conf(options.bootstrap, {{"linger.ms", "0"}, {"acks", "all"}, {"queue.buffering.max.kbytes", "262144"}},
                options.producer_settings, result.error);
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  stamp_acknowledgements<clock_of>(conf, &side);
  rd_kafka_conf_set_opaque(conf, &side);
  char text[512] = "";
  rd_kafka_t* producer = result.error.empty() ? rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text) : nullptr;
  if (producer == nullptr) {
    if (result.error.empty()) result.error = text;
    return result;
  }
  rd_kafka_topic_t* topic = rd_kafka_topic_new(producer, options.topic.c_str(), nullptr);
  const auto consumer_count = static_cast<std::size_t>(options.consumer_count);
  std::vector<Histogram> histograms(consumer_count);
  std::vector<LoadResult> counts(consumer_count);
  std::vector<std::vector<std::int64_t>> next(consumer_count,
                                              std::vector<std::int64_t>(static_cast<std::size_t>(options.partition_count), 0));
  std::vector<std::thread> consumers;
  for (std::size_t c = 0; c < consumer_count; ++c)
    consumers.emplace_back(consume, &shared, &histograms[c], &counts[c], &next[c]);
  while (shared.consumers_ready < options.consumer_count) std::this_thread::sleep_for(std::chrono::milliseconds(5));

  shared.start = Clock::now();
  produce(&shared, producer, topic, &result);
  wait_for_consumers(&shared, next);
  shared.stop = true;
  for (std::thread& consumer : consumers) consumer.join();
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(producer);

  for (std::size_t c = 0; c < consumer_count; ++c) {
    result.end_to_end.merge(histograms[c]);
    result.records_consumed += counts[c].records_consumed;
    result.records_duplicated += counts[c].records_duplicated;
    result.records_reordered += counts[c].records_reordered;
    if (result.records_delivered > counts[c].records_consumed)
      result.records_lost += result.records_delivered - counts[c].records_consumed;
  }
  result.measured_seconds = options.seconds;
  result.measured_bytes = result.produce_intended.count() * options.record_bytes;
  result.bytes_per_second = static_cast<double>(result.measured_bytes) / options.seconds;
  if (result.error.empty()) result.error = shared.error;
  return result;
}

std::string to_json(const LoadOptions& options, const LoadResult& result) {
  const auto latency = [](const Histogram& h) {
    std::string text = fmt::format(R"({{"count":{},"mean_us":{:.1f},"max_us":{})", h.count(), h.mean(), h.max());
    for (const auto& [name, q] : {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}}) {
      const auto value = h.quantile(q);
      text += fmt::format(R"(,"{}_us":{})", name, value ? fmt::format("{}", *value) : "null");
    }
    return text + "}";
  };
  std::string error = result.error;
  std::erase_if(error, [](char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20; });
  return fmt::format(
      R"({{"record_bytes":{},"records_per_second_asked":{},"bytes_per_second":{:.0f},"measured_bytes":{},"seconds":{},"sent":{},"delivered":{},"failed":{},)"
      R"("consumed":{},"lost":{},"duplicated":{},"reordered":{},"produce_from_intended":{},"produce_from_actual":{},"end_to_end":{},"error":"{}"}})",
      options.record_bytes, options.records_per_second, result.bytes_per_second, result.measured_bytes, result.measured_seconds,
      result.records_sent, result.records_delivered, result.records_failed, result.records_consumed, result.records_lost,
      result.records_duplicated, result.records_reordered, latency(result.produce_intended), latency(result.produce_actual),
      latency(result.end_to_end), error);
}

}  // namespace weir::perf
