#include "perf/command.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <thread>

#include <fmt/core.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "perf/machine.h"
#include "perf/report.h"
#include "perf/view.h"

namespace weir::perf {
namespace {

constexpr int exit_done = 0;
constexpr int exit_failed = 1;
constexpr int exit_usage = 2;
constexpr double knee_latency_factor = 5;              ///< p99 above so many times that of the lowest rate is beyond the knee
constexpr std::int64_t knee_latency_floor_us = 10000;  ///< and above this: noise of a microsecond is no knee
constexpr double knee_delivered_ratio = 0.97;          ///< so is delivering less than this share of what was asked
constexpr double sweep_growth = 1.5;
constexpr int sweep_steps_max = 24;
constexpr int sweep_refinements = 2;
// The preset fsx-4to1 takes the highest of these at which the machine stays below the busy limit, never less than the last.
constexpr double preset_rates_mb[] = {100, 85, 70, 55, 40};
constexpr double preset_busy_max = 0.70;
constexpr double preset_probe_seconds = 6;

int fail(const base::Error& error) {
  std::fputs(fmt::format("weir: {}\n", error.text).c_str(), stderr);
  return error.kind == base::ErrorKind::invalid ? exit_usage : exit_failed;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::string machine_text() {
  utsname name{};
  ::uname(&name);
  return fmt::format("{} cores, {} {}, {}", ::sysconf(_SC_NPROCESSORS_ONLN), name.sysname, name.release, name.machine);
}

double seconds_of(const PhaseResult& phase) { return std::max(1e-9, phase.end_seconds - phase.begin_seconds); }
double mb_per_second(const PhaseResult& phase) { return static_cast<double>(phase.delivered_bytes) / 1e6 / seconds_of(phase); }

// The topics of the run, made or found.
base::Result<std::vector<std::string>> prepare_topics(Options& options) {
  auto client =
      make_client(RD_KAFKA_PRODUCER, {{{"bootstrap.servers", options.bootstrap}}, options.common_configs}, nullptr, nullptr);
  if (!client) return std::unexpected(client.error());
  const bool catchup = !options.catchup_topic_prefix.empty();
  const std::string prefix = (catchup ? options.catchup_topic_prefix : options.topic_prefix) + "-";
  auto present = topics_of_prefix(client->get(), prefix);
  if (!present) return std::unexpected(present.error());
  if (catchup || (options.reuse_topics && !options.reset)) {
    std::vector<std::string> names;
    for (const auto& [name, partitions] : *present) {
      names.push_back(name);
      // One count for all: the run's own bookkeeping is by partition.
      options.partitions_per_topic = names.size() == 1 ? partitions : std::min(options.partitions_per_topic, partitions);
    }
    if (names.empty()) return base::fail(base::ErrorKind::not_found, fmt::format("there is no topic {}*", prefix));
    names.resize(std::min(names.size(), static_cast<std::size_t>(options.topics)));
    return names;
  }
  std::vector<std::string> old;
  for (const auto& [name, partitions] : *present) old.push_back(name);
  if (options.reset) WEIR_TRY(delete_topics(client->get(), old));
  std::vector<std::string> names;
  const auto stamp =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  for (int t = 0; t < options.topics; ++t) names.push_back(fmt::format("{}{:x}-{:04}", prefix, stamp, t));
  WEIR_TRY(create_topics(client->get(), names, options.partitions_per_topic, options.topic_configs));
  return names;
}

// One invocation: its options made into numbers, its runs, its report.
class Session {
 public:
  explicit Session(Invocation& invocation)
      : in_(invocation), options_(invocation.options), view_(invocation.live, invocation.json ? stderr : stdout) {}

  base::Result<void> prepare() {
    auto pool = ValuePool::make(options_);
    if (!pool) return std::unexpected(pool.error());
    pool_ = std::move(*pool);
    WEIR_TRY_ASSIGN(rate_, records_per_second(options_.send_rate, pool_.mean_bytes()));
    catchup_rate_ = rate_;
    if (!options_.send_rate_during_catchup.empty()) {
      WEIR_TRY_ASSIGN(catchup_rate_, records_per_second(options_.send_rate_during_catchup, pool_.mean_bytes()));
    }
    if (options_.topics < 1 || options_.partitions_per_topic < 1 || options_.producers_per_topic < 1 ||
        options_.groups_per_topic < 0 || options_.consumers_per_group < 1)
      return base::fail(base::ErrorKind::invalid,
                        "topics, partitions, producers and consumers are at least 1, groups at least 0");
    if (!options_.price_file.empty()) { WEIR_TRY_ASSIGN(prices_, read_prices(options_.price_file)); }
    auto topics = prepare_topics(options_);
    if (!topics) return std::unexpected(topics.error());
    topics_ = std::move(*topics);
    report_.version = in_.version;
    report_.title = options_.title;
    report_.command = in_.command;
    report_.started_at = utc_now();
    report_.machine = machine_text();
    report_.record_bytes_mean = pool_.mean_bytes();
    return {};
  }

  int go() {
    if (options_.preset == "fsx-4to1" && options_.mode == Mode::fixed && options_.send_rate == "100MB") choose_preset_rate();
    if (options_.mode == Mode::sweep) {
      sweep();
    } else {
      measure(options_.mode == Mode::maximum ? 0 : rate_, options_.warmup_seconds, options_.seconds, options_.backlog_seconds,
              true);
    }
    if (options_.mode == Mode::maximum)
      say(fmt::format("highest throughput: {:.1f} MB/s (closed loop: latencies are the queue's)",
                      mb_per_second(report_.runs.back().measured())));
    say_results();
    return write();
  }

 private:
  void say(const std::string& line) { report_.verdict.push_back(line); }

  const RunResult& measure(double rate, double warmup, double seconds, double backlog, bool with_costs) {
    Plan plan{.rate = rate,
              .catchup_rate = catchup_rate_,
              .warmup_seconds = warmup,
              .backlog_seconds = backlog,
              .seconds = seconds,
              .from_start = !options_.catchup_topic_prefix.empty()};
    plan.on_interval = [this](const Interval& interval) { view_.show(interval); };
    Counters before;
    Counters after;
    const bool watched = with_costs && (!options_.metrics.empty() || !in_.brokers.empty());
    if (watched) {
      plan.on_measure_begin = [this, &before] { take_counters(before); };
      plan.on_measure_end = [this, &after] { take_counters(after); };
    }
    view_.begin(rate, pool_.mean_bytes());
    report_.runs.push_back(run(options_, pool_, topics_, plan));
    const RunResult& result = report_.runs.back();
    if (watched && !before.empty() && !after.empty()) {
      report_.has_costs = true;
      report_.times = broker_times(before, after);
      report_.costs = costs(before, after, static_cast<double>(result.measured().delivered_bytes), prices_);
    }
    return result;
  }

  void take_counters(Counters& into) {
    auto counters = scrape(options_.metrics, in_.brokers);
    if (counters) {
      into = std::move(*counters);
    } else {
      std::fputs(fmt::format("weir: {}\n", counters.error().text).c_str(), stderr);
    }
  }

  void choose_preset_rate() {
    for (const double mb : preset_rates_mb) {
      rate_ = mb * 1e6 / pool_.mean_bytes();
      const RunResult& probe = measure(rate_, 2, preset_probe_seconds, 0, false);
      const double busy = probe.machine_busy_ratio;
      const bool fits = busy >= 0 && busy < preset_busy_max && mb_per_second(probe.measured()) > knee_delivered_ratio * mb;
      if (fits || mb == preset_rates_mb[std::size(preset_rates_mb) - 1]) {
        say(fmt::format("fsx-4to1: {:.0f} MB/s in and {:.0f} out; at this rate the machine was {:.0f} % busy", mb,
                        mb * options_.groups_per_topic, busy * 100));
        break;
      }
    }
    report_.runs.clear();  // probes are no measurements
    catchup_rate_ = rate_;
  }

  [[nodiscard]] bool beyond_knee(const RunResult& result, std::int64_t base_p99_us) const {
    const PhaseResult& phase = result.measured();
    const double asked = result.rate_asked * seconds_of(phase);
    const Summary latency = summarize(phase.latencies.produce_intended);
    const std::int64_t p99 = latency.p99_us.value_or(latency.max_us);
    return !result.error.empty() || static_cast<double>(phase.delivered) < knee_delivered_ratio * asked ||
           p99 > std::max(knee_latency_floor_us,
                          static_cast<std::int64_t>(knee_latency_factor * static_cast<double>(base_p99_us)));
  }

  // Rates rise until latency or throughput breaks; then the border is narrowed.
  void sweep() {
    double good = 0;
    double bad = 0;
    std::int64_t base_p99 = 0;
    double rate = rate_;
    for (int step = 0; step < sweep_steps_max; ++step) {
      const RunResult& result = measure(rate, std::min(3.0, options_.warmup_seconds), options_.step_seconds, 0, false);
      if (step == 0) {
        const Summary first = summarize(result.measured().latencies.produce_intended);
        base_p99 = first.p99_us.value_or(first.max_us);
      }
      if (beyond_knee(result, base_p99)) {
        bad = rate;
      } else {
        good = rate;
        report_.main_run = report_.runs.size() - 1;
      }
      if (good == 0) break;
      if (bad == 0) {
        rate *= sweep_growth;
        continue;
      }
      if (refined_++ == sweep_refinements) break;
      rate = (good + bad) / 2;
    }
    if (good == 0) {
      say(fmt::format("already the lowest rate, {:.0f} records/s, lies beyond the knee: begin lower with --send-rate", rate_));
    } else if (bad == 0) {
      say(fmt::format("no knee up to {:.0f} records/s ({:.1f} MB/s)", good, good * pool_.mean_bytes() / 1e6));
    } else {
      say(fmt::format("the knee lies between {:.0f} and {:.0f} records/s ({:.1f} and {:.1f} MB/s)", good, bad,
                      good * pool_.mean_bytes() / 1e6, bad * pool_.mean_bytes() / 1e6));
    }
  }

  void say_results() {
    const RunResult& result = report_.runs.at(report_.main_run);
    const PhaseResult& phase = result.measured();
    const auto latency = [](const char* what, const Histogram& h) {
      const Summary s = summarize(h);
      const auto ms = [](const std::optional<std::int64_t>& us) {
        return us ? fmt::format("{:.3f}", static_cast<double>(*us) / 1e3) : "-";
      };
      return fmt::format("{}: mean {:.3f}, p50 {}, p99 {}, p99.9 {}, max {:.3f} ms", what, s.mean_us / 1e3, ms(s.p50_us),
                         ms(s.p99_us), ms(s.p999_us), static_cast<double>(s.max_us) / 1e3);
    };
    say(fmt::format(
        "measured {:.1f} s: {:.1f} MB/s in ({:.0f} records/s), {:.1f} MB/s out; this client took {:.2f} cores{}",
        seconds_of(phase), mb_per_second(phase), static_cast<double>(phase.delivered) / seconds_of(phase),
        static_cast<double>(phase.consumed_bytes) / 1e6 / seconds_of(phase), result.client_cpu_seconds / seconds_of(phase),
        result.machine_busy_ratio < 0 ? "" : fmt::format(", the machine was {:.0f} % busy", result.machine_busy_ratio * 100)));
    say(latency("produce, from the intended send", phase.latencies.produce_intended));
    say(latency("produce, from the actual send", phase.latencies.produce_actual));
    if (options_.groups_per_topic > 0) say(latency("end to end, from the intended send", phase.latencies.end_to_end));
    const PhaseResult& catchup = result.phases[static_cast<std::size_t>(Phase::catchup)];
    if (catchup.end_seconds > catchup.begin_seconds) say_catchup(result, catchup);
    if (report_.has_costs && report_.costs.gigabytes_in > 0) {
      const Costs& c = report_.costs;
      say(fmt::format("per GB in: {:.1f} store calls ({:.1f} PUT, {:.1f} GET), {:.0f} WAL writes{}{}",
                      (c.put_calls + c.get_calls + c.other_calls) / c.gigabytes_in, c.put_calls / c.gigabytes_in,
                      c.get_calls / c.gigabytes_in, c.wal_writes / c.gigabytes_in,
                      c.cpu_seconds < 0 ? "" : fmt::format(", {:.2f} broker CPU-s", c.cpu_seconds / c.gigabytes_in),
                      c.dollars < 0 ? "" : fmt::format(", {:.5f} dollars", c.dollars / c.gigabytes_in)));
    }
    if (report_.has_costs) say_broker(report_.times);
    std::uint64_t lost = 0;
    std::uint64_t duplicated = 0;
    std::uint64_t reordered = 0;
    std::uint64_t failed = 0;
    for (const RunResult& one : report_.runs) {
      lost += one.lost;
      duplicated += one.duplicated;
      reordered += one.reordered;
      failed += one.failed;
      if (!one.error.empty()) say("a client failed: " + one.error);
    }
    say(fmt::format("records lost {}, duplicated {}, reordered {}, failed {}", lost, duplicated, reordered, failed));
    good_ = lost == 0 && failed == 0 && std::ranges::all_of(report_.runs, [](const RunResult& r) { return r.error.empty(); });
  }

  void say_broker(const BrokerTimes& times) {
    for (const std::string& part : times.emulated)
      say(fmt::format("EMULATED: {}; these figures are a model's, not that device's (docs/emulation.md)", part));
    const auto ms = [](const std::optional<double>& us) { return us ? fmt::format("{:.3f}", *us / 1e3) : "-"; };
    const auto list = [&](std::string_view what, const std::vector<StageTime>& stages) {
      std::string line;
      for (const StageTime& s : stages)
        line += fmt::format("{}{} {:.3f} / {} / {}", line.empty() ? "" : ", ", s.name, s.mean_us / 1e3, ms(s.p99_us),
                            ms(s.p999_us));
      if (!line.empty()) say(fmt::format("in the broker, {} (mean / p99 / p99.9 ms): {}", what, line));
    };
    list("produce", times.produce);
    list("reads", times.fetch);
  }

  void say_catchup(const RunResult& result, const PhaseResult& catchup) {
    std::uint64_t bytes = 0;
    for (const Interval& interval : result.intervals) bytes += interval.phase == Phase::catchup ? interval.consumed_bytes : 0;
    say(fmt::format("catch-up took {:.1f} s: {:.1f} MB/s read while {:.1f} MB/s came in", seconds_of(catchup),
                    static_cast<double>(bytes) / 1e6 / seconds_of(catchup), mb_per_second(catchup)));
  }

  int write() {
    report_.options = options_;
    const std::string json = to_json(report_);
    std::FILE* human = in_.json ? stderr : stdout;
    std::fputs("\n", human);
    for (const std::string& line : report_.verdict) std::fputs((line + "\n").c_str(), human);
    if (in_.json) std::puts(json.c_str());
    bool written = true;
    for (const auto& [path, text] : {std::pair{options_.json_file, json + "\n"}, {options_.html_file, to_html(json)}}) {
      if (path.empty()) continue;
      std::ofstream file(path, std::ios::binary);
      file << text;
      file.close();
      written = written && file.good();
      std::fputs((file.good() ? fmt::format("written: {}\n", path) : fmt::format("weir: {} cannot be written\n", path)).c_str(),
                 file.good() ? human : stderr);
    }
    return good_ && written ? exit_done : exit_failed;
  }

  Invocation& in_;
  Options& options_;
  View view_;
  ValuePool pool_;
  Prices prices_;
  std::vector<std::string> topics_;
  double rate_ = 0;
  double catchup_rate_ = 0;
  int refined_ = 0;
  bool good_ = false;
  Report report_;
};

}  // namespace

int perf_command(Invocation invocation) {
  Session session(invocation);
  if (auto ready = session.prepare(); !ready) return fail(ready.error());
  return session.go();
}

int compare_command(const std::string& a_path, const std::string& b_path, bool json) {
  auto text = compare(a_path, b_path, json);
  if (!text) return fail(text.error());
  std::fputs(text->c_str(), stdout);
  return exit_done;
}

}  // namespace weir::perf
