#include "perf/report.h"

#include <fmt/core.h>

namespace weir::perf {
namespace {

std::string or_null(const std::optional<std::int64_t>& value) { return value ? std::to_string(*value) : "null"; }

std::string summary_json(const Summary& s) {
  return fmt::format(R"({{"count":{},"mean_us":{:.1f},"p50_us":{},"p90_us":{},"p99_us":{},"p999_us":{},"max_us":{}}})", s.count,
                     s.mean_us, or_null(s.p50_us), or_null(s.p90_us), or_null(s.p99_us), or_null(s.p999_us), s.max_us);
}

std::string histogram_json(const Histogram& histogram) {
  std::string buckets;
  for (const auto& [upper, count] : histogram.filled())
    buckets += fmt::format("{}[{},{}]", buckets.empty() ? "" : ",", upper, count);
  std::string text = summary_json(summarize(histogram));
  text.pop_back();
  return text + fmt::format(R"(,"p9999_us":{},"buckets":[{}]}})", or_null(histogram.quantile(0.9999)), buckets);
}

std::string phase_json(Phase phase, const PhaseResult& p) {
  return fmt::format(
      R"({{"name":"{}","begin_seconds":{:.3f},"end_seconds":{:.3f},"delivered":{},"delivered_bytes":{},"consumed":{},"consumed_bytes":{},)"
      R"("produce_from_intended":{},"produce_from_actual":{},"end_to_end":{},"end_to_end_from_actual":{}}})",
      to_string(phase), p.begin_seconds, p.end_seconds, p.delivered, p.delivered_bytes, p.consumed, p.consumed_bytes,
      histogram_json(p.latencies.produce_intended), histogram_json(p.latencies.produce_actual),
      histogram_json(p.latencies.end_to_end), histogram_json(p.latencies.end_to_end_actual));
}

std::string interval_json(const Interval& i) {
  return fmt::format(
      R"({{"at_seconds":{:.3f},"seconds":{:.3f},"phase":"{}","delivered":{},"delivered_bytes":{},"consumed":{},"consumed_bytes":{},)"
      R"("failed":{},"backlog":{},"produce":{},"produce_from_actual":{},"end_to_end":{}}})",
      i.at_seconds, i.seconds, to_string(i.phase), i.delivered, i.delivered_bytes, i.consumed, i.consumed_bytes, i.failed,
      i.backlog, summary_json(i.produce), summary_json(i.produce_actual), summary_json(i.end_to_end));
}

std::string run_json(const RunResult& run) {
  std::string phases;
  for (std::size_t i = 0; i < phase_count; ++i) {
    if (run.phases[i].end_seconds > run.phases[i].begin_seconds)
      phases += (phases.empty() ? "" : ",") + phase_json(static_cast<Phase>(i), run.phases[i]);
  }
  std::string intervals;
  for (const Interval& interval : run.intervals) intervals += (intervals.empty() ? "" : ",") + interval_json(interval);
  return fmt::format(
      R"({{"rate_asked":{:.1f},"sent":{},"delivered":{},"failed":{},"consumed":{},"lost":{},"duplicated":{},"reordered":{},)"
      R"("client_cpu_seconds":{:.3f},"machine_busy_ratio":{:.4f},"error":{},"phases":[{}],"intervals":[{}]}})",
      run.rate_asked, run.sent, run.delivered, run.failed, run.consumed, run.lost, run.duplicated, run.reordered,
      run.client_cpu_seconds, run.machine_busy_ratio, json_quoted(run.error), phases, intervals);
}

std::string settings_json(const std::map<std::string, std::string>& settings) {
  std::string out;
  for (const auto& [name, value] : settings) {
    // Reports are passed around.
    const bool secret = name.find("password") != std::string::npos || name.find("secret") != std::string::npos;
    out += fmt::format("{}{}:{}", out.empty() ? "" : ",", json_quoted(name), json_quoted(secret ? "(hidden)" : value));
  }
  return "{" + out + "}";
}

std::string options_json(const Options& o) {
  return fmt::format(
      R"({{"bootstrap":{},"preset":{},"mode":"{}","topics":{},"partitions_per_topic":{},"producers_per_topic":{},"groups_per_topic":{},)"
      R"("consumers_per_group":{},"subscribe":{},"record_size":{},"random_ratio":{},"send_rate":{},"send_rate_during_catchup":{},)"
      R"("backlog_seconds":{},"warmup_seconds":{},"seconds":{},"topic_configs":{},"common_configs":{},"producer_configs":{},"consumer_configs":{}}})",
      json_quoted(o.bootstrap), json_quoted(o.preset), to_string(o.mode), o.topics, o.partitions_per_topic,
      o.producers_per_topic, o.groups_per_topic, o.consumers_per_group, o.subscribe, json_quoted(o.record_size), o.random_ratio,
      json_quoted(o.send_rate), json_quoted(o.send_rate_during_catchup), o.backlog_seconds, o.warmup_seconds, o.seconds,
      settings_json(o.topic_configs), settings_json(o.common_configs), settings_json(o.producer_configs),
      settings_json(o.consumer_configs));
}

std::string costs_json(const Costs& c) {
  const auto per_gb = [&c](double value) {
    return c.gigabytes_in > 0 && value >= 0 ? fmt::format("{:.6g}", value / c.gigabytes_in) : "null";
  };
  return fmt::format(
      R"({{"gigabytes_in":{:.6f},"put_calls":{:.0f},"get_calls":{:.0f},"other_calls":{:.0f},"put_bytes":{:.0f},"get_bytes":{:.0f},)"
      R"("wal_writes":{:.0f},"put_calls_per_gb":{},"get_calls_per_gb":{},"calls_per_gb":{},"wal_writes_per_gb":{},)"
      R"("broker_cpu_seconds_per_gb":{},"dollars_per_gb":{}}})",
      c.gigabytes_in, c.put_calls, c.get_calls, c.other_calls, c.put_bytes, c.get_bytes, c.wal_writes, per_gb(c.put_calls),
      per_gb(c.get_calls), per_gb(c.put_calls + c.get_calls + c.other_calls), per_gb(c.wal_writes), per_gb(c.cpu_seconds),
      per_gb(c.dollars));
}

std::string stages_json(const std::vector<StageTime>& stages) {
  const auto us = [](const std::optional<double>& value) { return value ? fmt::format("{:.1f}", *value) : "null"; };
  std::string out;
  for (const StageTime& s : stages)
    out +=
        fmt::format(R"({}{{"name":{},"count":{},"mean_us":{:.2f},"p50_us":{},"p99_us":{},"p999_us":{}}})",
                    out.empty() ? "" : ",", json_quoted(s.name), s.count, s.mean_us, us(s.p50_us), us(s.p99_us), us(s.p999_us));
  return "[" + out + "]";
}

std::string strings_json(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ",") + json_quoted(text);
  return "[" + out + "]";
}

std::string broker_json(const BrokerTimes& times) {
  return fmt::format(R"({{"emulated":{},"produce_stages":{},"reads":{}}})", strings_json(times.emulated),
                     stages_json(times.produce), stages_json(times.fetch));
}

}  // namespace

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

std::string to_json(const Report& report) {
  std::string runs;
  for (const RunResult& run : report.runs) runs += (runs.empty() ? "" : ",") + run_json(run);
  return fmt::format(
      R"({{"kind":"weir perf","format":1,"version":{},"title":{},"command":{},"started_at":{},"machine":{},"options":{},)"
      R"("record_bytes_mean":{:.1f},"verdict":{},"main_run":{},"costs":{},"broker":{},"runs":[{}]}})",
      json_quoted(report.version), json_quoted(report.title), strings_json(report.command), json_quoted(report.started_at),
      json_quoted(report.machine), options_json(report.options), report.record_bytes_mean, strings_json(report.verdict),
      report.main_run, report.has_costs ? costs_json(report.costs) : "null",
      report.has_costs ? broker_json(report.times) : "null", runs);
}

}  // namespace weir::perf
