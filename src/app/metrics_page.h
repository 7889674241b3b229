// app/metrics_page.h: docs/metrics.md, from the declarations of all rooms that are linked into this program.
#pragma once

#include <string>

namespace weir::app {

[[nodiscard]] std::string metrics_page();

}  // namespace weir::app
