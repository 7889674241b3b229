// app/main.cc: the weir command: options to what app/ and cli/ do.
#include <cstdio>

#include <CLI/CLI.hpp>

#include "app/metrics_page.h"
#include "app/start.h"
#include "cli/commands.h"
#include "config/broker_config.h"
#include "config/version.h"

extern char** environ;  // POSIX

namespace {

using namespace weir;

std::map<std::string, std::string> environment_map() {
  std::map<std::string, std::string> map;
  for (char** item = environ; *item != nullptr; ++item) {
    const std::string_view text(*item);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) map.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return map;
}

/// Everything that options write into; lives as long as the parser.
struct Options {
  cli::Common common;
  std::string format = "text";
  app::StartArguments start;
  cli::TopicCreate create;
  std::vector<std::string> names;
  cli::Produce produce;
  cli::Consume consume;
  std::string path;
  std::string place;
  std::string admin = "127.0.0.1:9644";
  int code = 0;
};

void add_common(CLI::App* command, Options& o) {
  command->add_option("--bootstrap-server,-b", o.common.bootstrap, "HOST:PORT of a broker")->capture_default_str();
  command->add_option("--format", o.format, "text or json")->check(CLI::IsMember({"text", "json"}))->capture_default_str();
}

void add_start(CLI::App& app, Options& o) {
  CLI::App* start = app.add_subcommand("start", "start the broker");
  start->add_option("properties", o.start.properties_file, "a server.properties file");
  start->add_option("--override", o.start.overrides, "KEY=VALUE, over the file and the environment");
  start->add_option("--data-dir", o.start.data_directory, "where everything embedded lives (weir.data.dir)");
  start->add_option("--listen", o.start.listen, "HOST:PORT of the plaintext listener");
  start->callback([&o] { o.code = app::start_command(o.start, environment_map()); });
}

void add_topic(CLI::App& app, Options& o) {
  CLI::App* topic = app.add_subcommand("topic", "create, list, describe and delete topics");
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
  CLI::App* remove = topic->add_subcommand("delete", "delete topics and their data");
  remove->add_option("names", o.names, "the topics")->required();
  remove->callback([&o] { o.code = cli::topic_delete(o.common, o.names); });
  for (CLI::App* command : {create, list, describe, remove}) add_common(command, o);
}

void add_records(CLI::App& app, Options& o) {
  CLI::App* produce = app.add_subcommand("produce", "records from standard input or a file to a topic");
  produce->add_option("topic", o.produce.topic)->required();
  produce->add_option("file", o.produce.file, "default: standard input");
  produce->add_option("--key-delimiter,-K", o.produce.key_delimiter, "splits each record into key and value");
  produce->add_option("--delimiter,-D", o.produce.record_delimiter, "ends a record (default: newline)");
  produce->add_option("--partition,-p", o.produce.partition, "default: by key, else spread");
  produce->add_option("--compression,-z", o.produce.compression, "none, gzip, snappy, lz4 or zstd");
  produce->add_option("--header,-H", o.produce.headers, "NAME=VALUE on every record");
  produce->add_option("-X", o.produce.properties, "NAME=VALUE of librdkafka");
  produce->callback([&o] { o.code = cli::produce(o.common, o.produce); });
  CLI::App* consume = app.add_subcommand("consume", "records of a topic to standard output");
  consume->add_option("topic", o.consume.topic)->required();
  consume->add_option("--offset,-o", o.consume.offset, "start, end, N, -N before the end, @MILLISECONDS")
      ->capture_default_str();
  consume->add_option("--partition,-p", o.consume.partition, "default: all");
  consume->add_option("--count,-c", o.consume.count, "stop after so many records");
  consume->add_flag("--exit-at-end,-e", o.consume.exit_at_end, "stop at the end of the topic");
  consume->add_option("--record-format,-f", o.consume.format,
                      "%t topic %p partition %o offset %k key %s value %T time %K %S sizes %h headers");
  consume->add_option("-X", o.consume.properties, "NAME=VALUE of librdkafka");
  consume->callback([&o] { o.code = cli::consume(o.common, o.consume); });
  for (CLI::App* command : {produce, consume}) add_common(command, o);
}

void add_storage(CLI::App& app, Options& o) {
  CLI::App* storage = app.add_subcommand("storage", "what lies where");
  storage->require_subcommand(1);
  CLI::App* inspect = storage->add_subcommand("inspect", "check and describe an object file or a WAL segment");
  inspect->add_option("path", o.path)->required();
  inspect->callback([&o] { o.code = cli::storage_inspect(o.common, o.path); });
  CLI::App* where = storage->add_subcommand("where", "where the batch of TOPIC/PARTITION@OFFSET lies");
  where->add_option("place", o.place, "TOPIC/PARTITION@OFFSET")->required();
  where->add_option("--admin", o.admin, "HOST:PORT of the broker's admin listener")->capture_default_str();
  where->callback([&o] { o.code = cli::storage_where(o.common, o.place, o.admin); });
  for (CLI::App* command : {inspect, where}) add_common(command, o);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"weir: Kafka on object storage, with a write-ahead log in front of it"};
  app.require_subcommand(1);
  Options options;
  add_start(app, options);
  add_topic(app, options);
  add_records(app, options);
  add_storage(app, options);
  CLI::App* version = app.add_subcommand("version", "print the version");
  version->add_option("--format", options.format, "text or json")->check(CLI::IsMember({"text", "json"}));
  version->callback([&] {
    std::puts((options.format == "json" ? std::string(R"({"version":")") + config::version + "\"}"
                                        : std::string("weir ") + config::version)
                  .c_str());
  });
  CLI::App* page = app.add_subcommand("settings-page", "print docs/settings.md");
  page->callback([] { std::fputs(config::settings_page().c_str(), stdout); });
  CLI::App* metrics = app.add_subcommand("metrics-page", "print docs/metrics.md");
  metrics->callback([] { std::fputs(app::metrics_page().c_str(), stdout); });
  // Options are parsed before the callbacks run: the format is known by then.
  app.parse_complete_callback([&options] { options.common.json = options.format == "json"; });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) { return app.exit(error) == 0 ? 0 : cli::exit_usage; }
  return options.code;
}
