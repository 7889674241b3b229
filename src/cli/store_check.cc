// cli/store_check.cc: weir store check: does a store keep what weir needs, before it is trusted with data.
#include <cstdio>

#include <fmt/core.h>

#include "cli/commands.h"
#include "cli/machine.h"
#include "cli/output.h"
#include "store/check.h"
#include "store/open.h"

namespace weir::cli {
namespace {

using runtime::Task;

double milliseconds(base::Duration took) { return std::chrono::duration<double, std::milli>(took).count(); }

Task<base::Result<std::vector<store::CheckStep>>> check(runtime::RealRuntime* real, std::string url,
                                                        std::map<std::string, std::string> environment, bool json) {
  // A store that fails each tenth call is in trouble, not cheating: every call may be repeated.
  auto opened = co_await store::open_store(std::move(url), std::move(environment), real->doors(), store::check_calls_max);
  if (!opened) co_return std::unexpected(opened.error());
  if (!json) std::puts(fmt::format("checking {}", (*opened)->description()).c_str());
  auto told = [json](const store::CheckStep& step) {
    if (!json)
      std::puts(
          fmt::format("{:<6} {:<26} {:>8.1f} ms  {}", step.ok ? "ok" : "FAILED", step.name, milliseconds(step.took), step.text)
              .c_str());
  };
  auto steps = co_await store::check_store(opened->get(), "", told);
  co_await (*opened)->stop();
  co_return steps;
}

}  // namespace

int store_check(const Common& common, const std::string& url, const std::map<std::string, std::string>& environment) {
  const auto real = command_machine();
  if (real == nullptr) return exit_failed;
  const bool json = common.json;
  auto steps = real->run_on_shard0([&] { return check(real.get(), url, environment, json); });
  if (!steps) {
    tell_error(steps.error().text);
    return steps.kind() == base::ErrorKind::invalid ? exit_usage : exit_failed;
  }
  std::size_t failed = 0;
  std::string rows;
  for (const store::CheckStep& step : *steps) {
    failed += step.ok ? 0 : 1;
    rows += fmt::format(R"({}{{"name":{},"ok":{},"text":{},"milliseconds":{:.3f}}})", rows.empty() ? "" : ",",
                        json_string(step.name), step.ok, json_string(step.text), milliseconds(step.took));
  }
  if (json) {
    std::puts(fmt::format(R"({{"ok":{},"steps":[{}]}})", failed == 0, rows).c_str());
  } else {
    std::puts(failed == 0 ? "this store keeps what weir needs"
                          : fmt::format("{} steps failed: do not keep data there with weir", failed).c_str());
  }
  return failed == 0 ? exit_done : exit_failed;
}

}  // namespace weir::cli
