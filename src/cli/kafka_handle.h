// cli/kafka_handle.h: librdkafka's handles with owners, made from NAME=VALUE settings.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <librdkafka/rdkafka.h>

#include "base/result.h"

namespace weir::cli {

struct KafkaDelete {
  void operator()(rd_kafka_t* handle) const { rd_kafka_destroy(handle); }
};
using KafkaHandle = std::unique_ptr<rd_kafka_t, KafkaDelete>;

/// `configure` may set callbacks; it runs before the handle is made.
[[nodiscard]] base::Result<KafkaHandle> make_kafka(rd_kafka_type_t type,
                                                   std::vector<std::pair<std::string, std::string>> settings,
                                                   const std::vector<std::string>& properties,
                                                   void (*configure)(rd_kafka_conf_t*, void*), void* opaque);

}  // namespace weir::cli
