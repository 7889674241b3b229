#include "config/broker_config.h"
#include "config/settings.h"

// Any text is either a list of properties or an error; what it lists is either settings or an error.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto properties = weir::config::parse_properties(text, "fuzz")) {
    if (auto settings = weir::config::Settings::from(*properties))
      (void)weir::config::make_broker_config(*settings).has_value();
  }
  (void)weir::config::parse_size(text).has_value();
  (void)weir::config::parse_duration_ms(text).has_value();
  return 0;
}
