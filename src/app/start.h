// app/start.h: `weir start`: settings to a running broker, what a person is told meanwhile, signals to a clean stop.
// Contract:   blocks until the broker has stopped; gives the process's exit code: 0 clean stop (also with the store down), 1 the
//             start was refused (the reason is on stderr), 2 wrong usage.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace weir::app {

struct StartArguments {
  std::string properties_file;         ///< empty: none
  std::vector<std::string> overrides;  ///< KEY=VALUE
  std::string data_directory;          ///< --data-dir, empty: not given
  std::string listen;                  ///< --listen HOST:PORT, empty: not given
};

int start_command(const StartArguments& arguments, const std::map<std::string, std::string>& environment);

}  // namespace weir::app
