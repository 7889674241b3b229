// app/main.cc: the weir command.
#include "app/command_line.h"

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
  CLI::App app{"weir: Kafka on object storage, with a write-ahead log in front of it", "weir"};
  weir::app::Options options;
  options.environment = environment_map();
  options.command.assign(argv, argv + argc);
  weir::app::add_commands(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) { return app.exit(error) == 0 ? 0 : weir::cli::exit_usage; }
  return options.code;
}
