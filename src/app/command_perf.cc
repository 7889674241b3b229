// app/command_perf.cc: the options of weir perf, under the names that other load generators of Kafka have.
#include <unistd.h>

#include "app/command_line.h"
#include "config/version.h"
#include "perf/command.h"

namespace weir::app {
namespace {

using perf::Options;

/// What is parsed as text and becomes a number, a map or a mode afterwards; lives as long as the parser.
struct PerfText {
  perf::Invocation invocation;
  std::vector<std::string> topic_configs, common_configs, producer_configs, consumer_configs;
  std::string common_config_file, preset, send_throughput;
  std::string warmup, duration, interval, backlog, group_delay, step;
  std::string mode;
  bool no_live = false;
  std::string a, b;
};

void read_settings(const std::vector<std::string>& words, std::map<std::string, std::string>& into) {
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) throw CLI::ValidationError(word, "write NAME=VALUE");
    into[word.substr(0, equals)] = word.substr(equals + 1);
  }
}

void read_file(const std::string& path, std::map<std::string, std::string>& into) {
  std::ifstream file(path);
  if (!file) throw CLI::ValidationError(path, "cannot be read");
  std::vector<std::string> words;
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line.front() != '#') words.push_back(line);
  read_settings(words, into);
}

void read_duration(const std::string& text, double unit_seconds, double& into) {
  if (text.empty()) return;
  auto seconds = perf::duration_seconds(text, unit_seconds);
  if (!seconds) throw CLI::ValidationError(text, seconds.error().text);
  into = *seconds;
}

void finish(PerfText& text, const cli::Common& common) {
  Options& o = text.invocation.options;
  o.bootstrap = common.bootstrap;
  if (!text.common_config_file.empty()) read_file(text.common_config_file, o.common_configs);
  read_settings(text.common_configs, o.common_configs);
  read_settings(text.topic_configs, o.topic_configs);
  read_settings(text.producer_configs, o.producer_configs);
  read_settings(text.consumer_configs, o.consumer_configs);
  // Bare numbers count as they do elsewhere: minutes for these two, seconds for the others.
  read_duration(text.warmup, 60, o.warmup_seconds);
  read_duration(text.duration, 60, o.seconds);
  read_duration(text.interval, 1, o.interval_seconds);
  read_duration(text.backlog, 1, o.backlog_seconds);
  read_duration(text.group_delay, 1, o.group_start_delay_seconds);
  read_duration(text.step, 1, o.step_seconds);
  if (!text.send_throughput.empty()) o.send_rate = text.send_throughput + (text.send_throughput.ends_with("MB") ? "" : "MB");
  o.mode = text.mode == "sweep" ? perf::Mode::sweep : text.mode == "max" ? perf::Mode::maximum : perf::Mode::fixed;
  text.invocation.json = common.json;
  text.invocation.live = !text.no_live && ::isatty(common.json ? STDERR_FILENO : STDOUT_FILENO) != 0;
  text.invocation.version = config::version;
}

void add_load_options(CLI::App* perf, PerfText& t) {
  Options& o = t.invocation.options;
  perf->add_option("--topics,-t", o.topics, "topics")->capture_default_str();
  perf->add_option("--partitions-per-topic,-n", o.partitions_per_topic, "partitions of each topic")->capture_default_str();
  perf->add_option("--producers-per-topic,-p", o.producers_per_topic, "producers of each topic")->capture_default_str();
  perf->add_option("--groups-per-topic,-g", o.groups_per_topic, "groups, each of which reads everything")
      ->capture_default_str();
  perf->add_option("--consumers-per-group,-c", o.consumers_per_group, "consumers that share a group's partitions")
      ->capture_default_str();
  perf->add_flag("--subscribe", o.subscribe, "groups at the coordinator; without it partitions are dealt out by this client");
  perf->add_option("--record-size,-s", o.record_size, "bytes: N, a range N-N, or a list N,N,...")->capture_default_str();
  perf->add_option("--random-ratio,-R", o.random_ratio, "share of each value that cannot be compressed")->capture_default_str();
  perf->add_option("--random-pool-size,-S", o.random_pool_size, "prepared values")->capture_default_str();
  perf->add_option("--values-file", o.values_file, "values, one a line, in place of made-up ones");
  perf->add_option("--send-rate,-r", o.send_rate, "records per second, or 40MB per second, or max")->capture_default_str();
  perf->add_option("--send-throughput", t.send_throughput, "MB per second, in place of --send-rate");
  perf->add_option("--send-rate-during-catchup,-a", o.send_rate_during_catchup,
                   "while the backlog is read (default: the send rate)");
  perf->add_option("--max-consume-record-rate,-m", o.max_consume_record_rate,
                   "records per second of all consumers; 0: no limit");
  perf->add_option("--backlog-duration", t.backlog, "let records gather so long, then read them (seconds)");
  perf->add_option("--group-start-delay,-G", t.group_delay, "between the groups that begin to read the backlog (seconds)");
}

void add_run_options(CLI::App* perf, PerfText& t) {
  Options& o = t.invocation.options;
  perf->add_option("--mode", t.mode, "fixed rate, sweep of rates to the knee, or max")
      ->check(CLI::IsMember({"fixed", "sweep", "max"}));
  perf->add_option("--warmup-duration,-w", t.warmup, "30s, 1m; a bare number is minutes (default: 5s)");
  perf->add_option("--test-duration,-d", t.duration, "30s, 5m; a bare number is minutes (default: 30s)");
  perf->add_option("--step-duration", t.step, "of each rate of a sweep (default: 10s)");
  perf->add_option("--reporting-interval,-i", t.interval, "of the lines and the plots (default: 1s)");
  perf->add_option("--topic-prefix,-X", o.topic_prefix, "how the topics' names begin")->capture_default_str();
  perf->add_option("--catchup-topic-prefix", o.catchup_topic_prefix, "read topics that exist from their start");
  perf->add_flag("--reset", o.reset, "delete all topics of the prefix first");
  perf->add_flag("--reuse-topics", o.reuse_topics, "take the topics of the prefix that exist");
  perf->add_option("--topic-configs,-T", t.topic_configs, "NAME=VALUE of new topics");
  perf->add_option("--common-configs,-A", t.common_configs, "NAME=VALUE of librdkafka, for all clients");
  perf->add_option("--common-config-file,-F", t.common_config_file, "the same from a file");
  perf->add_option("--producer-configs,-P", t.producer_configs, "NAME=VALUE of librdkafka, for producers");
  perf->add_option("--consumer-configs,-C", t.consumer_configs, "NAME=VALUE of librdkafka, for consumers");
  perf->add_option("--metrics", o.metrics, "HOST:PORT of a weir broker's admin listener: store calls, WAL writes, CPU");
  perf->add_option("--broker-pid", t.invocation.brokers.pids, "a broker on this machine whose CPU is counted");
  perf->add_option("--broker-cgroup", t.invocation.brokers.cgroups, "the same by the directory of its control group");
  perf->add_option("--prices", o.price_file, "NAME = NUMBER lines: dollars per GB from what was counted");
  perf->add_option("--json", o.json_file, "write the report here");
  perf->add_option("--html", o.html_file, "write a page with plots here");
  perf->add_option("--title", o.title, "of the report");
  perf->add_flag("--no-live", t.no_live, "a line per interval on a terminal too");
}

}  // namespace

void add_perf(CLI::App& app, weir::app::Options& o) {
  auto text = std::make_shared<PerfText>();
  o.kept.push_back(text);
  CLI::App* perf = app.add_subcommand("perf", "load on any Kafka: throughput, latency from the intended send time, loss, cost");
  perf->require_subcommand(0, 1);
  // Its values are what the options that follow it begin from.
  perf->add_option_function<std::string>(
          "--preset",
          [text](const std::string& name) {
            if (auto applied = perf::apply_preset(name, text->invocation.options); !applied)
              throw CLI::ValidationError("--preset", applied.error().text);
          },
          "fsx-4to1 (64 KB, one in, four out, 100 MB/s or what the machine takes), small, ingest or catchup; options after it "
          "change it")
      ->trigger_on_parse();
  add_load_options(perf, *text);
  add_run_options(perf, *text);
  add_common(perf, o);
  CLI::App* compare = perf->add_subcommand("compare", "two reports beside each other");
  compare->add_option("a", text->a, "a report (--json)")->required();
  compare->add_option("b", text->b, "another report")->required();
  compare->add_option("--format", o.format, "text or json")->check(CLI::IsMember({"text", "json"}))->capture_default_str();
  compare->callback([text, &o] { o.code = perf::compare_command(text->a, text->b, o.format == "json"); });
  perf->callback([text, perf, &o] {
    if (!perf->get_subcommands().empty()) return;
    finish(*text, o.common);
    text->invocation.command = o.command;
    o.code = perf::perf_command(std::move(text->invocation));
  });
}

}  // namespace weir::app
