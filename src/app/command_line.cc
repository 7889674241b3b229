#include "app/command_line.h"

#include <cstdio>

#include "app/cli_page.h"
#include "app/metrics_page.h"
#include "config/broker_config.h"
#include "config/settings.h"
#include "config/version.h"

namespace weir::app {
namespace {

void add_start(CLI::App& app, Options& o) {
  CLI::App* start = app.add_subcommand("start", "start the broker");
  start->add_option("properties", o.start.properties_file, "a server.properties file");
  start->add_option("--override", o.start.overrides, "KEY=VALUE, over the file and the environment");
  start->add_option("--data-dir", o.start.data_directory, "where everything embedded lives (weir.data.dir)");
  start->add_option("--listen", o.start.listen, "HOST:PORT of the plaintext listener");
  start->callback([&o] { o.code = start_command(o.start, o.environment); });
}

constexpr const char* format_help =
    "%t topic, %p partition, %o offset, %d time, %i number, %k key, %v value, %K %V their sizes, %H header count, %h{%k=%v,} "
    "headers; bytes as "
    "%v{hex}, {base64}, {unpack[...]}; numbers as {big32}, {little16}, {hex}; times as {s}, {iso}, {strftime[...]}; \\n \\t "
    "\\xNN";

void add_produce(CLI::App& app, Options& o) {
  CLI::App* produce = app.add_subcommand("produce", "records from standard input or a file to a topic");
  produce->add_option("topic", o.produce.topic, "the topic; '-': each record names its own with %t")->required();
  produce->add_option("file", o.produce.file, "default: standard input");
  produce->add_option("--record-format,-f", o.produce.format,
                      "how the input is read: the verbs of weir consume -f, or json for what weir consume --format json wrote");
  produce->add_option("--key-delimiter,-K", o.produce.key_delimiter, "splits each record into key and value");
  produce->add_option("--delimiter,-D", o.produce.record_delimiter, "ends a record (default: newline)");
  produce->add_option("--key,-k", o.produce.key, "key of every record that has none of its own");
  produce->add_flag("--tombstone,-Z", o.produce.tombstones, "an empty value is sent as null");
  produce->add_option("--partition,-p", o.produce.partition, "default: by key, else spread");
  produce->add_option("--compression,-z", o.produce.compression, "none, gzip, snappy, lz4 or zstd")
      ->check(CLI::IsMember({"none", "gzip", "snappy", "lz4", "zstd"}));
  produce->add_option("--acks", o.produce.acks, "all, 1 or 0")->check(CLI::IsMember({"all", "-1", "1", "0"}));
  produce->add_option("--header,-H", o.produce.headers, "NAME=VALUE on every record");
  produce->add_option("-X", o.produce.properties, "NAME=VALUE of librdkafka");
  produce->callback([&o] {
    if (o.produce.topic == "-") o.produce.topic.clear();
    o.code = cli::produce(o.common, o.produce);
  });
  add_common(produce, o);
}

void add_consume(CLI::App& app, Options& o) {
  CLI::App* consume = app.add_subcommand("consume", "records of a topic to standard output");
  consume->add_option("topic", o.consume.topic, "the topic")->required();
  consume->add_option(
      "--offset,-o", o.consume.offsets,
      "start, end, N, +N, -N, A:B, :end, @TIME, @TIME:TIME, @TIME:LENGTH; a time is like 2025-02-14T10:00, -1h or "
      "milliseconds (default: start)");
  consume->add_option("--partition,-p", o.consume.partitions, "default: all");
  consume->add_option("--group,-g", o.consume.group, "read as a member of this group and commit");
  consume->add_option("--count,-c", o.consume.count, "stop after so many records");
  consume->add_flag("--exit-at-end,-e", o.consume.exit_at_end, "stop at the end of the topic");
  consume->add_option("--record-format,-f", o.consume.format, format_help);
  consume->add_option("-X", o.consume.properties, "NAME=VALUE of librdkafka");
  consume->callback([&o] { o.code = cli::consume(o.common, o.consume); });
  add_common(consume, o);
}

void add_storage(CLI::App& app, Options& o) {
  CLI::App* storage = app.add_subcommand("storage", "what lies where");
  storage->require_subcommand(1);
  CLI::App* inspect = storage->add_subcommand("inspect", "check and describe an object file or a WAL segment");
  inspect->add_option("path", o.path, "the file")->required();
  inspect->callback([&o] { o.code = cli::storage_inspect(o.common, o.path); });
  CLI::App* where = storage->add_subcommand("where", "where the batch of TOPIC/PARTITION@OFFSET lies");
  where->add_option("place", o.place, "TOPIC/PARTITION@OFFSET")->required();
  where->add_option("--admin", o.admin, "HOST:PORT of the broker's admin listener")->capture_default_str();
  where->callback([&o] { o.code = cli::storage_where(o.common, o.place, o.admin); });
  CLI::App* verify =
      storage->add_subcommand("verify", "read every object of a store and check every block; exit code 1: damage");
  verify->add_option("--store", o.verify.store_url, "as weir.store: file:///DIR or s3://BUCKET/PREFIX?...")->required();
  verify->add_option("--topic-id", o.verify.topic_ids,
                     "only blocks of this topic (weir topic describe --format json tells the id)");
  verify->add_option("--after", o.verify.after, "go on behind this key, as an interrupted run told");
  verify->add_option_function<std::string>(
      "--rate",
      [&o](const std::string& text) {
        const auto parsed = config::parse_size(text);
        if (!parsed || *parsed == 0) throw CLI::ValidationError("--rate", "write bytes per second, as 50MiB");
        o.verify.bytes_per_second = *parsed;
      },
      "bytes per second, as 50MiB; default: no bound");
  verify->callback([&o] { o.code = cli::storage_verify(o.common, o.verify, o.environment); });
  for (CLI::App* command : {inspect, where, verify}) add_common(command, o);
}

void add_store(CLI::App& app, Options& o) {
  CLI::App* store = app.add_subcommand("store", "the object store by itself");
  store->require_subcommand(1);
  CLI::App* check = store->add_subcommand("check", "try what weir needs of a store, before it is trusted with data");
  check->add_option("url", o.path, "as weir.store: file:///DIR or s3://BUCKET/PREFIX?...")->required();
  check->add_option("--format", o.format, "text or json")->check(CLI::IsMember({"text", "json"}))->capture_default_str();
  check->callback([&o] { o.code = cli::store_check(o.common, o.path, o.environment); });
}

void add_pages(CLI::App& app, Options& o) {
  CLI::App* version = app.add_subcommand("version", "print the version");
  version->add_option("--format", o.format, "text or json")->check(CLI::IsMember({"text", "json"}));
  version->callback([&o] {
    std::puts(
        (o.format == "json" ? std::string(R"({"version":")") + config::version + "\"}" : std::string("weir ") + config::version)
            .c_str());
  });
  CLI::App* completion = app.add_subcommand("completion", "print a completion script: source <(weir completion bash)");
  completion->add_option("shell", o.shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion->callback([&app, &o] { std::fputs(completion_script(app, o.shell).c_str(), stdout); });
  CLI::App* settings = app.add_subcommand("settings-page", "print docs/settings.md");
  settings->callback([] { std::fputs(config::settings_page().c_str(), stdout); });
  CLI::App* metrics = app.add_subcommand("metrics-page", "print docs/metrics.md");
  metrics->callback([] { std::fputs(metrics_page().c_str(), stdout); });
  CLI::App* page = app.add_subcommand("cli-page", "print docs/cli.md");
  page->callback([&app] { std::fputs(cli_page(app).c_str(), stdout); });
}

// An option that may be repeated takes one value each time: otherwise it would swallow the names behind it.
void take_one_value_each(CLI::App* app) {
  for (CLI::Option* option : app->get_options()) {
    if (option->nonpositional() && option->get_items_expected_max() > 1) option->allow_extra_args(false);
  }
  for (CLI::App* sub : app->get_subcommands([](const CLI::App*) { return true; })) take_one_value_each(sub);
}

}  // namespace

void add_common(CLI::App* command, Options& o) {
  command->add_option("--bootstrap-server,-b", o.common.bootstrap, "HOST:PORT of a broker, or several with commas")
      ->capture_default_str();
  command->add_option("--format", o.format, "text or json")->check(CLI::IsMember({"text", "json"}))->capture_default_str();
}

void add_yes(CLI::App* command, Options& o) { command->add_flag("--yes,-y", o.common.yes, "do not ask"); }

void add_commands(CLI::App& app, Options& o) {
  app.require_subcommand(1);
  add_start(app, o);
  add_produce(app, o);
  add_consume(app, o);
  add_admin_commands(app, o);
  add_storage(app, o);
  add_store(app, o);
  add_perf(app, o);
  add_pages(app, o);
  take_one_value_each(&app);
  // Options are parsed before the callbacks run: the format is known by then.
  app.parse_complete_callback([&o] { o.common.json = o.format == "json"; });
}

}  // namespace weir::app
