#include "cli/kafka_handle.h"

#include <algorithm>

#include <fmt/core.h>

namespace weir::cli {

base::Result<KafkaHandle> make_kafka(rd_kafka_type_t type, std::vector<std::pair<std::string, std::string>> settings,
                                     const std::vector<std::string>& properties, void (*configure)(rd_kafka_conf_t*, void*),
                                     void* opaque) {
  for (const std::string& property : properties) {
    const std::size_t equals = property.find('=');
    if (equals == std::string::npos)
      return base::fail(base::ErrorKind::invalid, fmt::format("-X {}: write NAME=VALUE", property));
    settings.emplace_back(property.substr(0, equals), property.substr(equals + 1));
  }
  // What matters is told as an error of the command; -X debug=... brings the library's own lines back.
  const bool debugged =
      std::any_of(settings.begin(), settings.end(), [](const auto& setting) { return setting.first == "debug"; });
  if (!debugged) settings.insert(settings.begin(), {"log_level", "2"});
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char text[512] = "";
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text, sizeof text) != RD_KAFKA_CONF_OK) {
      rd_kafka_conf_destroy(conf);
      return base::fail(base::ErrorKind::invalid, text);
    }
  }
  if (configure != nullptr) configure(conf, opaque);
  rd_kafka_t* handle = rd_kafka_new(type, conf, text, sizeof text);
  if (handle == nullptr) {
    rd_kafka_conf_destroy(conf);
    return base::fail(base::ErrorKind::invalid, text);
  }
  return KafkaHandle(handle);
}

}  // namespace weir::cli
