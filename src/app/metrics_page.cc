#include "app/metrics_page.h"

#include <fmt/core.h>

#include "cache/metrics_decl.h"
#include "keyspace/metrics_decl.h"
#include "log/metrics_decl.h"
#include "runtime/emulated_files.h"
#include "runtime/metrics.h"
#include "server/metrics_decl.h"
#include "store/metrics_decl.h"
#include "upkeep/metrics_decl.h"
#include "upload/metrics_decl.h"
#include "wal/metrics_decl.h"

namespace weir::app {

std::string metrics_page() {
  std::string page =
      "# Metrics\n\n`GET /metrics` of the admin listener, in Prometheus' text format. Made from the declarations in the rooms "
      "by "
      "`weir metrics-page`; the tests compare it.\n\n| name | kind | |\n|---|---|---|\n";
  for (const runtime::MetricDecl& decl : runtime::DeclaredMetrics::all()) {
    const char* kind = decl.kind == runtime::MetricKind::counter ? "counter"
                       : decl.kind == runtime::MetricKind::gauge ? "gauge"
                                                                 : "histogram";
    page += fmt::format("| `{}` | {} | {} |\n", decl.name, kind, decl.help);
  }
  return page;
}

}  // namespace weir::app
