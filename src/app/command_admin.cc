// app/command_admin.cc: the options of weir topic, config, group and cluster.
#include "app/command_line.h"

namespace weir::app {
namespace {

void add_topic_changes(CLI::App* topic, Options& o) {
  CLI::App* alter = topic->add_subcommand("alter", "more partitions, other settings");
  alter->add_option("names", o.alter.names, "the topics")->required();
  alter->add_option("--partitions,-p", o.alter.partition_count, "the new number of partitions");
  alter->add_option("--config,-c", o.alter.configs, "NAME=VALUE; NAME+=VALUE and NAME-=VALUE change a list");
  alter->add_option("--delete-config,-d", o.alter.delete_configs, "NAME goes back to its default");
  alter->add_flag("--validate-only", o.alter.validate_only, "check, change nothing");
  alter->callback([&o] { o.code = cli::topic_alter(o.common, o.alter); });
  CLI::App* analyze = topic->add_subcommand("analyze", "batch sizes, rates and compression: what drives the cost");
  analyze->add_option("names", o.analyze.names, "the topics")->required();
  analyze->add_option("--offset,-o", o.analyze.window, "the window, as in weir consume")->capture_default_str();
  analyze->add_option("--batches", o.analyze.batch_count_max, "read at most so many batches of each partition")
      ->capture_default_str();
  analyze->add_flag("!--total-only", o.analyze.partitions, "a row per topic, none per partition");
  analyze->callback([&o] { o.code = cli::topic_analyze(o.common, o.analyze); });
  CLI::App* remove = topic->add_subcommand("delete", "delete topics and their data");
  remove->add_option("names", o.names, "the topics")->required();
  remove->callback([&o] { o.code = cli::topic_delete(o.common, o.names); });
  add_yes(remove, o);
  for (CLI::App* command : {alter, analyze, remove}) add_common(command, o);
}

void add_topic(CLI::App& app, Options& o) {
  CLI::App* topic = app.add_subcommand("topic", "create, list, describe, alter, analyze and delete topics");
  topic->require_subcommand(1);
  CLI::App* create = topic->add_subcommand("create", "create topics");
  create->add_option("names", o.create.names, "the topics")->required();
  create->add_option("--partitions,-p", o.create.partition_count, "partitions; -1: the broker's default");
  create->add_option("--replication-factor,-r", o.create.replication_factor,
                     "reported, not acted on; -1: the broker's default");
  create->add_option("--config,-c", o.create.configs, "NAME=VALUE");
  create->add_flag("--validate-only", o.create.validate_only, "check, change nothing");
  create->add_flag("--if-not-exists", o.create.if_not_exists, "an existing topic is no error");
  create->callback([&o] { o.code = cli::topic_create(o.common, o.create); });
  CLI::App* list = topic->add_subcommand("list", "names of all topics");
  list->callback([&o] { o.code = cli::topic_list(o.common); });
  CLI::App* describe = topic->add_subcommand("describe", "partitions of topics (all without a name)");
  describe->add_option("names", o.names, "the topics");
  describe->callback([&o] { o.code = cli::topic_describe(o.common, o.names); });
  for (CLI::App* command : {create, list, describe}) add_common(command, o);
  add_topic_changes(topic, o);
}

void add_target(CLI::App* command, cli::ConfigTarget& target) {
  command->add_option("--topic,-t", target.topics, "settings of these topics");
  command->add_option("--broker", target.brokers, "settings of the broker with this id");
  command->add_flag("--cluster", target.cluster, "cluster-wide settings of all brokers");
  command->add_option("--group,-g", target.groups, "settings of these groups");
}

void add_config(CLI::App& app, Options& o) {
  CLI::App* config = app.add_subcommand("config", "describe, set and delete settings of topics, brokers and groups");
  config->require_subcommand(1);
  CLI::App* describe = config->add_subcommand("describe", "settings with their sources");
  add_target(describe, o.config_describe.target);
  describe->add_option("names", o.config_describe.names, "only these settings");
  describe->add_flag("--changed", o.config_describe.changed, "only what differs from the default");
  describe->add_flag("--documentation", o.config_describe.documentation, "with the documentation of each");
  describe->callback([&o] { o.code = cli::config_describe(o.common, o.config_describe); });
  CLI::App* set = config->add_subcommand("set", "change settings");
  add_target(set, o.config_alter.target);
  set->add_option("settings", o.config_alter.set, "NAME=VALUE; NAME+=VALUE and NAME-=VALUE change a list")->required();
  CLI::App* remove = config->add_subcommand("delete", "let settings go back to their defaults");
  add_target(remove, o.config_alter.target);
  remove->add_option("names", o.config_alter.remove, "the settings")->required();
  for (CLI::App* command : {set, remove}) {
    command->add_flag("--validate-only", o.config_alter.validate_only, "check, change nothing");
    command->callback([&o] { o.code = cli::config_alter(o.common, o.config_alter); });
  }
  for (CLI::App* command : {describe, set, remove}) add_common(command, o);
}

void add_seek(CLI::App* group, Options& o) {
  CLI::App* seek = group->add_subcommand("seek", "move where an inactive group goes on reading");
  seek->add_option("group", o.seek.group, "the group")->required();
  seek->add_option("--to", o.seek.to, "start, end, N, +N after the start, -N before the end, @TIME");
  seek->add_flag_callback("--to-start,--to-earliest", [&o] { o.seek.to = "start"; }, "to the start of each partition");
  seek->add_flag_callback("--to-end,--to-latest", [&o] { o.seek.to = "end"; }, "to the end of each partition");
  seek->add_option_function<std::uint64_t>(
      "--to-offset", [&o](std::uint64_t n) { o.seek.to = std::to_string(n); }, "to this offset");
  seek->add_option_function<std::string>(
      "--to-datetime", [&o](const std::string& time) { o.seek.to = "@" + time; }, "to the first record at or after the time");
  seek->add_option("--shift-by", o.seek.shift_by, "forward, or back with a negative number");
  seek->add_option("--from-file", o.seek.file, "lines of TOPIC PARTITION OFFSET; -: standard input");
  seek->add_option("--topic,-t", o.seek.topics, "TOPIC or TOPIC:PARTITION,PARTITION; default: all that is committed");
  seek->add_flag("--dry-run", o.seek.dry_run, "print what would be written");
  seek->callback([&o] { o.code = cli::group_seek(o.common, o.seek); });
  add_yes(seek, o);
  add_common(seek, o);
}

void add_group(CLI::App& app, Options& o) {
  CLI::App* group = app.add_subcommand("group", "list, describe, seek and delete groups");
  group->require_subcommand(1);
  CLI::App* list = group->add_subcommand("list", "all groups");
  list->add_option("--state", o.group_list.states, "only groups in these states");
  list->add_option("--type", o.group_list.types, "only groups of these types: classic, consumer, share, streams");
  list->callback([&o] { o.code = cli::group_list(o.common, o.group_list); });
  CLI::App* describe = group->add_subcommand("describe", "state, members, offsets and lag of groups");
  describe->add_option("groups", o.group_describe.names, "the groups")->required();
  describe->add_flag("--members", o.group_describe.members, "a row per member in place of a row per partition");
  describe->callback([&o] { o.code = cli::group_describe(o.common, o.group_describe); });
  add_seek(group, o);
  CLI::App* remove = group->add_subcommand("delete", "delete empty groups with their offsets");
  remove->add_option("groups", o.names, "the groups")->required();
  remove->callback([&o] { o.code = cli::group_delete(o.common, o.names); });
  add_yes(remove, o);
  for (CLI::App* command : {list, describe, remove}) add_common(command, o);
}

void add_cluster(CLI::App& app, Options& o) {
  CLI::App* cluster = app.add_subcommand("cluster", "describe the cluster and its health");
  cluster->require_subcommand(1);
  CLI::App* describe = cluster->add_subcommand("describe", "cluster id and brokers");
  describe->callback([&o] { o.code = cli::cluster_describe(o.common); });
  CLI::App* health = cluster->add_subcommand("health", "whether all brokers and partitions serve; exit code 10 when not");
  health->add_flag("--watch,-w", o.health.watch, "print each change");
  health->add_flag("--exit-when-healthy,-e", o.health.exit_when_healthy, "wait until the cluster is healthy");
  health->add_option("--interval", o.health.interval_seconds, "seconds between looks")->capture_default_str();
  health->callback([&o] { o.code = cli::cluster_health(o.common, o.health); });
  for (CLI::App* command : {describe, health}) add_common(command, o);
}

}  // namespace

void add_admin_commands(CLI::App& app, Options& o) {
  add_topic(app, o);
  add_config(app, o);
  add_group(app, o);
  add_cluster(app, o);
}

}  // namespace weir::app
