// app/cli_page.h: what the tree of commands looks like from outside: docs/cli.md and completion scripts.
// Contract:   pure functions of the tree; equal trees give equal text.
// Tests:      tests/system/test_cli.py
#pragma once

#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace weir::app {

[[nodiscard]] std::string cli_page(const CLI::App& root);
/// `shell`: bash, zsh or fish. The script holds the whole tree: completing starts no process.
[[nodiscard]] std::string completion_script(const CLI::App& root, std::string_view shell);

}  // namespace weir::app
