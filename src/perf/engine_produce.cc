// perf/engine_produce.cc: a producer's schedule and what becomes of its records.
#include <thread>

#include "perf/acknowledged.h"
#include "perf/engine_parts.h"

namespace weir::perf {
namespace {

constexpr std::int64_t spin_below_us = 200;  // a sleep is not more exact than this
constexpr int flush_ms_max = 60000;

void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  auto* side = static_cast<ProducerSide*>(opaque);
  const std::unique_ptr<Sent> sent(static_cast<Sent*>(message->_private));
  const std::scoped_lock lock(side->recorder.mutex);
  Counts& interval = side->recorder.interval;
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    ++interval.failed;
    return;
  }
  const std::int64_t now = sent->acknowledged_us;
  ++interval.delivered;
  interval.delivered_bytes += message->len;
  interval.latencies.produce_intended.record(now - sent->intended_us);
  interval.latencies.produce_actual.record(now - sent->actual_us);
  const auto phase = side->shared->phase_of(sent->intended_us);
  if (!phase) return;
  PhaseResult& result = side->recorder.phases[static_cast<std::size_t>(*phase)];
  ++result.delivered;
  result.delivered_bytes += message->len;
  result.latencies.produce_intended.record(now - sent->intended_us);
  result.latencies.produce_actual.record(now - sent->actual_us);
}

std::int64_t clock_of(ProducerSide* side) { return side->shared->now_us(); }

void prepare(rd_kafka_conf_t* conf, void* opaque) {
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  stamp_acknowledgements<clock_of>(conf, static_cast<ProducerSide*>(opaque));
}

// False when the client is to stop.
bool send(ProducerSide& side, std::int32_t partition, const std::string& value, std::int64_t intended_us) {
  const std::int64_t actual = side.shared->now_us();
  const Stamp stamp{.run_id = side.shared->run_id,
                    .intended_us = intended_us,
                    .actual_us = actual,
                    .number = side.numbers[static_cast<std::size_t>(partition)],
                    .producer = side.index};
  auto sent = std::make_unique<Sent>(Sent{.intended_us = intended_us, .actual_us = actual});
  for (;;) {
// librdkafka's variadic macros use a GNU extension of C.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wgnu-statement-expression-from-macro-expansion"
    // The value is the pool's, which outlives the client: it is not copied.
    const rd_kafka_resp_err_t error =
        rd_kafka_producev(side.client.get(), RD_KAFKA_V_TOPIC(side.topic.c_str()), RD_KAFKA_V_PARTITION(partition),
                          RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),
                          RD_KAFKA_V_HEADER(stamp_header, &stamp, static_cast<ssize_t>(sizeof stamp)),
                          RD_KAFKA_V_OPAQUE(sent.get()), RD_KAFKA_V_END);
#pragma clang diagnostic pop
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) break;
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      side.shared->fail(rd_kafka_err2str(error));
      return false;
    }
    if (side.shared->stop_producing) return false;
    rd_kafka_poll(side.client.get(), 1);
  }
  (void)sent.release();  // on_delivery takes it
  ++side.numbers[static_cast<std::size_t>(partition)];
  ++side.sent;
  return true;
}

// Waits until the record is due, answering the client meanwhile.
void wait_until(ProducerSide& side, std::int64_t intended_us) {
  for (std::int64_t left = intended_us - side.shared->now_us(); left > 0 && !side.shared->stop_producing;
       left = intended_us - side.shared->now_us()) {
    rd_kafka_poll(side.client.get(), left > 2000 ? 1 : 0);
    left = intended_us - side.shared->now_us();
    if (left > spin_below_us) std::this_thread::sleep_for(std::chrono::microseconds(std::min<std::int64_t>(left - 100, 20000)));
  }
}

}  // namespace

base::Result<void> open_producer(ProducerSide& side) {
  const Options& options = *side.shared->options;
  auto client = make_client(RD_KAFKA_PRODUCER,
                            {{{"bootstrap.servers", options.bootstrap},
                              {"linger.ms", "0"},
                              {"acks", "all"},
                              {"queue.buffering.max.kbytes", "262144"}},
                             options.common_configs,
                             options.producer_configs},
                            prepare, &side);
  if (!client) return std::unexpected(client.error());
  side.client = std::move(*client);
  side.numbers.assign(static_cast<std::size_t>(side.partition_count), 0);
  return {};
}

void produce_loop(ProducerSide* side) {
  Shared& shared = *side->shared;
  while (shared.go_us < 0 && !shared.stop_producing) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const auto count = static_cast<double>(side->producer_count);
  double rate = shared.rate;
  // Producers take turns, so that all together send evenly.
  double due = static_cast<double>(shared.go_us) + (rate > 0 ? static_cast<double>(side->index) * 1e6 / rate : 0);
  for (std::uint64_t i = 0; !shared.stop_producing; ++i) {
    if (const double wanted = shared.rate; wanted != rate) {
      // A new rate begins now: what was late under the old one stays late.
      if (rate <= 0) due = static_cast<double>(shared.now_us());
      rate = wanted;
    }
    std::int64_t intended = shared.now_us();
    if (rate > 0) {
      intended = static_cast<std::int64_t>(due);
      due += count * 1e6 / rate;
      wait_until(*side, intended);
      if (shared.stop_producing && intended > shared.now_us()) break;
    }
    const auto partition = static_cast<std::int32_t>((i + side->index) % static_cast<std::uint64_t>(side->partition_count));
    if (!send(*side, partition, shared.pool->at(i * side->producer_count + side->index), intended)) break;
    rd_kafka_poll(side->client.get(), 0);
  }
  rd_kafka_flush(side->client.get(), flush_ms_max);
  --shared.producers_running;
}

}  // namespace weir::perf
