// perf/acknowledged.h: when a record was acknowledged, told by the client's own thread.
// Why:        librdkafka hands delivery reports to whoever polls. A producer that sleeps until its next record is due polls then: at
//             500 records/s every latency read 2 ms, whatever the broker did. Another thread that only polls would cost the machine
//             a wake per record. The client's interceptor runs on the thread that read the answer, before the report is queued.
// Contract:   note() runs on that thread, once per record (also of a failed one), before its delivery report; what it writes into
//             the record's opaque is seen by the report.
#pragma once

#include <cstdint>

#include <librdkafka/rdkafka.h>

namespace weir::perf {

/// What a record's opaque points to while it is under way; times as the caller counts them.
struct Sent {
  std::int64_t intended_us = 0;
  std::int64_t actual_us = 0;
  std::int64_t acknowledged_us = 0;
};

/// `side` is what now(side) gets, and must outlive the client made from `conf`.
template <auto now, class Side>
void stamp_acknowledgements(rd_kafka_conf_t* conf, Side* side) {
  static constexpr auto note = [](rd_kafka_t*, rd_kafka_message_t* message, void* opaque) {
    if (message->_private != nullptr) static_cast<Sent*>(message->_private)->acknowledged_us = now(static_cast<Side*>(opaque));
    return RD_KAFKA_RESP_ERR_NO_ERROR;
  };
  static constexpr auto hook = [](rd_kafka_t* client, const rd_kafka_conf_t*, void* opaque, char*, std::size_t) {
    return rd_kafka_interceptor_add_on_acknowledgement(client, "weir-perf", note, opaque);
  };
  rd_kafka_conf_interceptor_add_on_new(conf, "weir-perf", hook, side);
}

}  // namespace weir::perf
