// app/main.cc: the weir command.
#include <CLI/CLI.hpp>

#include <cstdio>

#include "app/start.h"
#include "config/broker_config.h"

extern char** environ;  // POSIX

namespace {

std::map<std::string, std::string> environment_map() {
  std::map<std::string, std::string> map;
  for (char** item = environ; *item != nullptr; ++item) {
    const std::string_view text(*item);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) map.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return map;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"weir: Kafka on object storage, with a write-ahead log in front of it"};
  app.require_subcommand(1);
  int code = 0;

  weir::app::StartArguments start;
  CLI::App* start_command = app.add_subcommand("start", "start the broker");
  start_command->add_option("properties", start.properties_file, "a server.properties file");
  start_command->add_option("--override", start.overrides, "KEY=VALUE, over the file and the environment");
  start_command->add_option("--data-dir", start.data_directory, "where everything embedded lives (weir.data.dir)");
  start_command->add_option("--listen", start.listen, "HOST:PORT of the plaintext listener");
  start_command->callback([&] { code = weir::app::start_command(start, environment_map()); });

  CLI::App* page = app.add_subcommand("settings-page", "print docs/settings.md");
  page->callback([] { std::fputs(weir::config::settings_page().c_str(), stdout); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return code;
}
