// weir_sim: runs seeds of the simulation and prints what happened.
//   weir_sim --seed N [--count K] [--twice] [--jobs J] [--trace] [--quiet] [--until-failure] [--plan]
// Each seed runs in a process of its own: killed brokers leak what they owned, and a failed assertion is that seed's verdict
// only. Exit code: 0 all passed, 1 a seed failed or a registered fault never fired in a run of many seeds, 2 wrong usage.
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/run/scenario.h"
#include "sim/world.h"

namespace weir::sim {
namespace {

/// From this many seeds on, a fault, crash point or recovery case that never happened fails the run.
constexpr std::uint64_t seeds_that_must_meet_everything = 100;
/// Registered, but not demanded: no part of the broker watches the keyspace yet.
constexpr std::array<std::string_view, 2> not_demanded = {"keyspace.watch_broken", "keyspace.watch_compacted"};
constexpr std::size_t log_lines_shown = 40;

struct Options {
  std::uint64_t seed = 1;
  std::uint64_t count = 1;
  unsigned jobs = 1;
  bool twice = false;
  bool trace = false;
  bool quiet = false;
  bool plan = false;           ///< says what each seed would do, and runs none
  bool until_failure = false;  ///< begins no seed after one has failed; what never fired is not judged
};

struct SeedResult {
  bool passed = false;
  std::string text;   ///< for people
  std::string table;  ///< FaultTable::render()
};

void first_difference(const Verdict& a, const Verdict& b, std::string& text) {
  std::size_t i = 0;
  while (i < a.checkpoints.size() && i < b.checkpoints.size() && a.checkpoints[i] == b.checkpoints[i]) ++i;
  text += fmt::format("  the second run parted from the first between events {} and {}\n", i * trace_checkpoint_events,
                      (i + 1) * trace_checkpoint_events);
}

SeedResult run_seed(std::uint64_t seed, const Options& options) {
  const Plan plan = Plan::draw(seed);
  const auto begin = std::chrono::steady_clock::now();  // how fast we are; nothing in the run sees it
  const Verdict verdict = run_scenario(plan, options.trace);
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  SeedResult result;
  result.passed = verdict.violations.empty();
  result.text = fmt::format(
      "seed {}: {} trace {:016x}, {:.0f} virtual s in {:.1f} s, {} events, {} starts, {} batches acked ({} records), {} read, "
      "{} fetches, {} transactions committed, {} aborted ({} batches hidden), {} commits of offsets, {} generations of "
      "groups\n",
      seed, result.passed ? "ok" : "FAILED", verdict.trace_hash, verdict.virtual_seconds, took, verdict.events, verdict.starts,
      verdict.acked_batches, verdict.acked_records, verdict.observed_batches, verdict.fetches, verdict.committed_transactions,
      verdict.aborted_transactions, verdict.hidden_batches, verdict.commits, verdict.generations);
  if (!result.passed) {
    result.text += "  " + plan.describe() + "\n";
    for (std::size_t i = verdict.last_log_lines.size() > log_lines_shown ? verdict.last_log_lines.size() - log_lines_shown : 0;
         i < verdict.last_log_lines.size(); ++i) {
      result.text += "    log " + verdict.last_log_lines[i] + "\n";
    }
    for (std::size_t i = 0; i < verdict.violations.size() && i < 10; ++i)
      result.text += "  VIOLATION " + verdict.violations[i] + "\n";
    result.text += fmt::format("  replay: weir_sim --seed {} --trace\n", seed);
  }
  if (options.twice) {
    const Verdict again = run_scenario(plan, false);
    if (again.trace_hash != verdict.trace_hash) {
      result.passed = false;
      result.text += fmt::format("  NOT DETERMINISTIC: the same seed gave trace {:016x}\n", again.trace_hash);
      first_difference(verdict, again, result.text);
    }
  }
  result.table = verdict.faults.render();
  return result;
}

struct Child {
  std::uint64_t seed = 0;
  int pipe = -1;
};

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::string read_all(int fd) {
  std::string text;
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got <= 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
  }
  return text;
}

// The child's answer: a line "pass" or "fail", its text, a line of "--", the table.
bool collect(pid_t pid, const Child& child, FaultTable& total) {
  const std::string answer = read_all(child.pipe);
  ::close(child.pipe);
  int status = 0;
  ::waitpid(pid, &status, 0);
  const std::size_t cut = answer.find("\n--\n");
  if (!WIFEXITED(status) || cut == std::string::npos) {
    fmt::print(
        "seed {}: FAILED: the run ended by signal {} (an assertion: see above)\n  {}\n  replay: weir_sim --seed {} --trace\n",
        child.seed, WIFSIGNALED(status) ? WTERMSIG(status) : 0, Plan::draw(child.seed).describe(), child.seed);
    return false;
  }
  const bool passed = answer.starts_with("pass\n");
  fmt::print("{}\n", answer.substr(5, cut - 5));
  total.add(FaultTable::parse(std::string_view(answer).substr(cut + 4)));
  return passed;
}

int run_all(const Options& options) {
  FaultTable total;
  std::uint64_t failed = 0;
  std::map<pid_t, Child> running;
  std::vector<pid_t> order;
  std::uint64_t next = 0;
  const auto go_on = [&] { return next < options.count && !(options.until_failure && failed > 0); };
  while (go_on() || !order.empty()) {
    while (go_on() && running.size() < options.jobs) {
      int ends[2];
      if (::pipe(ends) != 0) return 2;
      std::fflush(stdout);
      const std::uint64_t seed = options.seed + next++;
      const pid_t pid = ::fork();
      if (pid == 0) {
        ::close(ends[0]);
        const SeedResult result = run_seed(seed, options);
        std::string text = result.text;
        while (!text.empty() && text.back() == '\n') text.pop_back();
        write_all(ends[1], (result.passed ? "pass\n" : "fail\n") + text + "\n--\n" + result.table);
        ::close(ends[1]);
        ::_exit(0);
      }
      ::close(ends[1]);
      running[pid] = Child{seed, ends[0]};
      order.push_back(pid);
    }
    const pid_t oldest = order.front();
    order.erase(order.begin());
    if (!collect(oldest, running[oldest], total)) ++failed;
    running.erase(oldest);
    std::fflush(stdout);
  }
  if (options.count > 1 || !options.quiet) fmt::print("\n{}", total.render());
  std::vector<std::string> missing = total.missing();
  std::erase_if(missing, [](const std::string& name) {
    const auto at = std::ranges::find(not_demanded, name);
    if (at != not_demanded.end()) fmt::print("not demanded of every run: {}\n", name);
    return at != not_demanded.end();
  });
  fmt::print("\n{} seeds, {} failed, {} registered faults and cases never fired\n", options.count, failed, missing.size());
  if (options.count >= seeds_that_must_meet_everything && !options.until_failure && !missing.empty()) {
    for (const std::string& name : missing) fmt::print("NEVER FIRED {}\n", name);
    return 1;
  }
  return failed == 0 ? 0 : 1;
}

bool parse_number(const char* text, std::uint64_t& into) {
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), into);
  return error == std::errc{} && *end == '\0';
}

int main_with(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    std::uint64_t jobs = 0;
    if (name == "--twice") {
      options.twice = true;
    } else if (name == "--trace") {
      options.trace = true;
    } else if (name == "--plan") {
      options.plan = true;
    } else if (name == "--until-failure") {
      options.until_failure = true;
    } else if (name == "--quiet") {
      options.quiet = true;
    } else if (name == "--seed" && i + 1 < argc && parse_number(argv[i + 1], options.seed)) {
      ++i;
    } else if (name == "--count" && i + 1 < argc && parse_number(argv[i + 1], options.count)) {
      ++i;
    } else if (name == "--jobs" && i + 1 < argc && parse_number(argv[i + 1], jobs) && jobs > 0) {
      options.jobs = static_cast<unsigned>(jobs);
      ++i;
    } else {
      fmt::print(stderr,
                 "usage: weir_sim --seed N [--count K] [--twice] [--jobs J] [--trace] [--quiet] [--until-failure] [--plan]\n");
      return 2;
    }
  }
  if (options.plan) {
    for (std::uint64_t i = 0; i < options.count; ++i) {
      fmt::print("seed {}: {}\n", options.seed + i, Plan::draw(options.seed + i).describe());
    }
    return 0;
  }
  return run_all(options);
}

}  // namespace
}  // namespace weir::sim

int main(int argc, char** argv) { return weir::sim::main_with(argc, argv); }
