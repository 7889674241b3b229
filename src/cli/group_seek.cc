// cli/group_seek.cc: weir group seek: where a group goes on reading.
// Why:        after a bad deploy a group reads again from a time, or skips what it cannot digest.
// Contract:   only an inactive group is moved (its members would overwrite the offsets); offsets outside a partition's log are
//             brought to its start or end with a warning, as Kafka's own tool does; the plan is printed, then written unless
//             --dry-run; any partition that fails makes the exit code 1 and, while planning, nothing is written.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

#include <fmt/core.h>

#include "cli/commands.h"
#include "cli/group_facts.h"
#include "cli/offset_spec.h"
#include "cli/table.h"
#include "wire/offset_commit.h"

namespace weir::cli {
namespace {

using runtime::Task;

constexpr std::int16_t offset_commit_by_name_max = 9;  // version 10 names topics by id

struct Move {
  std::optional<std::int64_t> before;
  std::int64_t after = -1;
  model::ErrorCode error = model::ErrorCode::none;
};
using Plan = std::map<TopicPart, Move>;

template <class T>
std::optional<T> whole_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Lines of TOPIC PARTITION OFFSET, split by spaces, tabs or commas; '#' begins a comment.
base::Result<std::map<TopicPart, std::int64_t>> read_plan_file(const std::string& path) {
  std::ifstream file;
  if (path != "-") {
    file.open(path);
    if (!file) return base::fail(base::ErrorKind::invalid, fmt::format("{}: cannot be read", path));
  }
  std::istream& in = path == "-" ? std::cin : file;
  std::map<TopicPart, std::int64_t> offsets;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    std::ranges::replace(line, ',', ' ');
    line = line.substr(0, line.find('#'));
    std::istringstream words(line);
    std::string topic;
    std::string partition;
    std::string offset;
    std::string more;
    if (!(words >> topic)) continue;
    words >> partition >> offset;
    const auto p = whole_number<std::int32_t>(partition);
    const auto o = whole_number<std::int64_t>(offset);
    if (!p || !o || *p < 0 || *o < 0 || words >> more)
      return base::fail(base::ErrorKind::invalid, fmt::format("{}:{}: write TOPIC PARTITION OFFSET", path, number));
    offsets[{topic, *p}] = *o;
  }
  if (offsets.empty()) return base::fail(base::ErrorKind::invalid, fmt::format("{}: no offsets in it", path));
  return offsets;
}

// TOPIC or TOPIC:P,P; a topic without partitions means all that it has.
Task<base::Result<std::vector<TopicPart>>> expand_topics(Admin* admin, std::vector<std::string> words) {
  std::vector<TopicPart> parts;
  for (const std::string& word : words) {
    const std::size_t colon = word.find(':');
    const std::string topic = word.substr(0, colon);
    if (colon != std::string::npos) {
      std::string_view rest = std::string_view(word).substr(colon + 1);
      while (!rest.empty()) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        const auto p = whole_number<std::int32_t>(rest.substr(0, comma));
        if (!p || *p < 0)
          co_return base::fail(base::ErrorKind::invalid,
                               fmt::format("--topic {}: write TOPIC or TOPIC:PARTITION,PARTITION", word));
        parts.emplace_back(topic, *p);
        rest.remove_prefix(std::min(comma + 1, rest.size()));
      }
      continue;
    }
    auto facts = co_await admin->cluster({topic});
    if (!facts) co_return std::unexpected(facts.error());
    for (const TopicFacts& one : facts->topics) {
      if (one.error != model::ErrorCode::none)
        co_return base::fail(base::ErrorKind::not_found, fmt::format("{}: {}", topic, model::to_string(one.error)));
      for (const PartitionFacts& partition : one.partitions) parts.emplace_back(topic, partition.index);
    }
  }
  std::ranges::sort(parts);
  parts.erase(std::ranges::unique(parts).begin(), parts.end());
  co_return parts;
}

// The wished offset of each partition, before it is brought inside the log.
Task<base::Result<void>> wish(Admin* admin, const GroupSeek* options, OffsetBound bound, Plan* plan,
                              const std::map<TopicPart, OffsetAnswer>* starts, const std::map<TopicPart, OffsetAnswer>* ends) {
  std::map<TopicPart, OffsetAnswer> times;
  if (bound.from == OffsetBound::From::time) {
    std::vector<std::pair<TopicPart, std::int64_t>> asked;
    for (const auto& [part, move] : *plan) asked.emplace_back(part, bound.value);
    auto answered = co_await admin->offsets_at(std::move(asked));
    if (!answered) co_return std::unexpected(answered.error());
    times = std::move(*answered);
  }
  for (auto& [part, move] : *plan) {
    if (options->shift_by) {
      if (!move.before) {
        co_return base::fail(
            base::ErrorKind::invalid,
            fmt::format("{}/{}: the group has committed nothing there that could be shifted", part.first, part.second));
      }
      move.after = *move.before + *options->shift_by;
    } else {
      const std::int64_t at_time = times.contains(part) ? times.at(part).offset : -1;
      move.after = resolve(bound, starts->at(part).offset, ends->at(part).offset, at_time);
    }
  }
  co_return base::Result<void>();
}

Task<base::Result<Plan>> make_plan(Admin* admin, const GroupSeek* options, std::optional<OffsetBound> bound,
                                   std::map<TopicPart, std::int64_t> from_file) {
  auto committed = co_await committed_offsets(admin, options->group);
  if (!committed) co_return std::unexpected(committed.error());
  Plan plan;
  for (const auto& [part, offset] : from_file) plan[part].after = offset;
  if (from_file.empty() && options->topics.empty()) {
    for (const auto& [part, offset] : *committed) plan[part];
    if (plan.empty()) {
      co_return base::fail(base::ErrorKind::not_found,
                           fmt::format("group {} has committed nothing: name what is meant with --topic", options->group));
    }
  } else if (from_file.empty()) {
    auto parts = co_await expand_topics(admin, options->topics);
    if (!parts) co_return std::unexpected(parts.error());
    for (const TopicPart& part : *parts) plan[part];
  }
  std::vector<std::pair<TopicPart, std::int64_t>> ask_end;
  std::vector<std::pair<TopicPart, std::int64_t>> ask_start;
  for (auto& [part, move] : plan) {
    if (const auto at = committed->find(part); at != committed->end()) move.before = at->second;
    ask_end.emplace_back(part, time_end);
    ask_start.emplace_back(part, time_start);
  }
  auto ends = co_await admin->offsets_at(std::move(ask_end));
  if (!ends) co_return std::unexpected(ends.error());
  auto starts = co_await admin->offsets_at(std::move(ask_start));
  if (!starts) co_return std::unexpected(starts.error());
  for (auto& [part, move] : plan) {
    if (ends->at(part).error != model::ErrorCode::none) {
      co_return base::fail(base::ErrorKind::not_found,
                           fmt::format("{}/{}: {}", part.first, part.second, model::to_string(ends->at(part).error)));
    }
  }
  if (from_file.empty()) WEIR_CO_TRY(co_await wish(admin, options, bound.value_or(OffsetBound{}), &plan, &*starts, &*ends));
  for (auto& [part, move] : plan) {
    const std::int64_t wished = move.after;
    move.after = std::clamp(wished, starts->at(part).offset, ends->at(part).offset);
    if (move.after != wished) {
      std::fputs(
          fmt::format("weir: {}/{}: offset {} lies outside the log, {} is taken\n", part.first, part.second, wished, move.after)
              .c_str(),
          stderr);
    }
  }
  co_return plan;
}

Task<base::Result<void>> commit(Admin* admin, const std::string* group, Plan* plan) {
  auto client = co_await admin->coordinator(*group);
  if (!client) co_return std::unexpected(client.error());
  wire::OffsetCommitRequest request;
  request.group_id = *group;
  for (const auto& [part, move] : *plan) {
    if (request.topics.empty() || request.topics.back().name != part.first) {
      request.topics.emplace_back();
      request.topics.back().name = part.first;
    }
    request.topics.back().partitions.emplace_back();
    auto& partition = request.topics.back().partitions.back();
    partition.partition_index = model::PartitionIndex(part.second);
    partition.committed_offset = model::Offset(move.after);
    partition.committed_metadata = "";
  }
  auto answer = co_await (*client)->call<wire::OffsetCommitResponse>(request, offset_commit_by_name_max);
  if (!answer) co_return std::unexpected(answer.error());
  for (const auto& topic : answer->message.topics) {
    for (const auto& partition : topic.partitions)
      (*plan)[{std::string(topic.name), partition.partition_index.value()}].error = partition.error_code;
  }
  co_return base::Result<void>();
}

Task<int> seek(Admin* admin, const Common* common, const GroupSeek* options, std::optional<OffsetBound> bound,
               std::map<TopicPart, std::int64_t> from_file) {
  auto group = co_await describe_group(admin, options->group);
  if (!group) co_return failed(group.error());
  if (group->state != "Empty" && group->state != "Dead") {
    tell_error(fmt::format("group {} is active ({}, {} members): stop its consumers first", group->id, group->state,
                           group->members.size()));
    co_return exit_failed;
  }
  auto plan = co_await make_plan(admin, options, bound, std::move(from_file));
  if (!plan) co_return failed(plan.error());
  int code = exit_done;
  if (!options->dry_run) {
    if (auto written = co_await commit(admin, &options->group, &*plan); !written) co_return failed(written.error());
  }
  Table table({"topic", "partition", "prior_offset", "new_offset", "error"});
  for (const auto& [part, move] : *plan) {
    const bool good = move.error == model::ErrorCode::none;
    if (!good) {
      code = exit_failed;
      tell_error(fmt::format("{}/{}: {}", part.first, part.second, error_text(move.error)));
    }
    table.add({part.first, part.second, move.before, move.after, good ? Cell() : Cell(model::to_string(move.error))});
  }
  if (common->json) {
    std::puts(fmt::format(R"({{"group":{},"dry_run":{},"partitions":{}}})", json_string(options->group), options->dry_run,
                          table.json())
                  .c_str());
  } else {
    std::fputs(table.text().c_str(), stdout);
    if (options->dry_run) std::fputs("weir: dry run: nothing was written\n", stderr);
  }
  co_return code;
}

}  // namespace

int group_seek(const Common& common, const GroupSeek& options) {
  const int ways = static_cast<int>(!options.to.empty()) + static_cast<int>(options.shift_by.has_value()) +
                   static_cast<int>(!options.file.empty());
  if (ways != 1) {
    tell_error("say where to: one of --to, --to-start, --to-end, --to-offset, --to-datetime, --shift-by and --from-file");
    return exit_usage;
  }
  std::optional<OffsetBound> bound;
  if (!options.to.empty()) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    auto parsed = parse_offset_bound(options.to, std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
    if (!parsed) {
      tell_error(parsed.error().text);
      return exit_usage;
    }
    bound = *parsed;
  }
  std::map<TopicPart, std::int64_t> from_file;
  if (!options.file.empty()) {
    auto read = read_plan_file(options.file);
    if (!read || !options.topics.empty()) {
      tell_error(read ? "--from-file names its topics itself: leave --topic out" : read.error().text);
      return exit_usage;
    }
    from_file = std::move(*read);
  }
  if (!options.dry_run && !confirmed(common, fmt::format("move the offsets of group {}", options.group))) return exit_usage;
  return with_admin(common, [&](Admin& admin) { return seek(&admin, &common, &options, bound, from_file); });
}

}  // namespace weir::cli
