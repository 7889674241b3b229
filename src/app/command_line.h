// app/command_line.h: the tree of commands and options, bound to what app/ and cli/ do.
// Why:        one tree is parsed, printed as docs/cli.md and turned into shell completion: none of the three can fall behind.
// Contract:   add_commands() fills the parser; Options outlives it. After the parse, `code` is the exit code.
// Tests:      tests/system/test_cli.py (page up to date, completion runs), tests/system/test_cli_admin.py
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "app/start.h"
#include "cli/commands.h"

namespace weir::app {

/// Everything that options write into.
struct Options {
  cli::Common common;
  std::string format = "text";
  StartArguments start;
  cli::TopicCreate create;
  cli::TopicAlter alter;
  cli::TopicAnalyze analyze;
  cli::ConfigDescribe config_describe;
  cli::ConfigAlter config_alter;
  cli::GroupList group_list;
  cli::GroupDescribe group_describe;
  cli::GroupSeek seek;
  cli::ClusterHealth health;
  cli::StorageVerify verify;
  std::vector<std::string> names;
  cli::Produce produce;
  cli::Consume consume;
  std::string path;
  std::string place;
  std::string shell;
  std::string admin = "127.0.0.1:9644";
  std::map<std::string, std::string> environment;
  std::vector<std::string> command;         ///< argv
  std::vector<std::shared_ptr<void>> kept;  ///< what options of single commands write into
  int code = 0;
};

void add_commands(CLI::App& app, Options& options);
/// --bootstrap-server and --format.
void add_common(CLI::App* command, Options& options);
/// -y.
void add_yes(CLI::App* command, Options& options);
/// topic, config, group and cluster.
void add_admin_commands(CLI::App& app, Options& options);
void add_perf(CLI::App& app, Options& options);

}  // namespace weir::app
