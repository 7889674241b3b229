// cli/group.cc: weir group list, describe, delete.
#include <algorithm>
#include <cstdio>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "cli/commands.h"
#include "cli/group_facts.h"
#include "cli/table.h"
#include "wire/delete_groups.h"
#include "wire/list_groups.h"

namespace weir::cli {
namespace {

using runtime::Task;

Task<int> list(Admin* admin, const Common* common, const GroupList* options) {
  auto cluster = co_await admin->cluster({});
  if (!cluster) co_return failed(cluster.error());
  struct Row {
    std::string id, state, type, protocol_type;
    std::int32_t coordinator;
  };
  std::vector<Row> rows;
  int code = exit_done;
  for (const BrokerFacts& broker : cluster->brokers) {
    auto client = co_await admin->broker(broker.id);
    if (!client) {
      code = failed(client.error());
      continue;
    }
    wire::ListGroupsRequest request;
    for (const std::string& state : options->states) request.states_filter.push_back(state);
    for (const std::string& type : options->types) request.types_filter.push_back(type);
    auto answer = co_await (*client)->call<wire::ListGroupsResponse>(request);
    if (!answer || answer->message.error_code != model::ErrorCode::none) {
      tell_error(fmt::format("broker {}: {}", broker.id,
                             answer ? error_text(answer->message.error_code) : std::string(answer.error().text)));
      code = exit_failed;
      continue;
    }
    for (const auto& group : answer->message.groups) {
      rows.push_back({.id = std::string(group.group_id),
                      .state = std::string(group.group_state),
                      .type = std::string(group.group_type),
                      .protocol_type = std::string(group.protocol_type),
                      .coordinator = broker.id});
    }
  }
  std::ranges::sort(rows, {}, &Row::id);
  Table table({"group", "state", "type", "protocol_type", "coordinator"});
  for (const Row& row : rows) table.add({row.id, row.state, row.type, row.protocol_type, row.coordinator});
  std::fputs(common->json ? fmt::format("{{\"groups\":{}}}\n", table.json()).c_str() : table.text().c_str(), stdout);
  co_return code;
}

struct Place {
  std::optional<std::int64_t> committed;
  const MemberFacts* member = nullptr;
};

Task<base::Result<Table>> partition_table(Admin* admin, const GroupFacts* group, std::int64_t* total_lag) {
  auto committed = co_await committed_offsets(admin, group->id);
  if (!committed) co_return std::unexpected(committed.error());
  std::map<TopicPart, Place> places;
  for (const auto& [part, offset] : *committed) places[part].committed = offset;
  for (const MemberFacts& member : group->members) {
    for (const TopicPart& part : member.assigned) places[part].member = &member;
  }
  std::vector<std::pair<TopicPart, std::int64_t>> ask_end;
  std::vector<std::pair<TopicPart, std::int64_t>> ask_start;
  for (const auto& [part, place] : places) {
    ask_end.emplace_back(part, time_end);
    ask_start.emplace_back(part, time_start);
  }
  auto ends = co_await admin->offsets_at(std::move(ask_end));
  if (!ends) co_return std::unexpected(ends.error());
  auto starts = co_await admin->offsets_at(std::move(ask_start));
  if (!starts) co_return std::unexpected(starts.error());
  Table table({"topic", "partition", "current_offset", "log_start_offset", "log_end_offset", "lag", "member_id", "client_id",
               "host", "error"});
  for (const auto& [part, place] : places) {
    const OffsetAnswer& end = (*ends)[part];
    const OffsetAnswer& start = (*starts)[part];
    const bool known = end.error == model::ErrorCode::none;
    std::optional<std::int64_t> lag;
    // A committed offset beyond the end belongs to records that are gone: it is no negative lag.
    if (known && place.committed) lag = std::max<std::int64_t>(0, end.offset - *place.committed);
    if (lag) *total_lag += *lag;
    const bool member = place.member != nullptr;
    table.add({part.first, part.second, place.committed, known ? Cell(start.offset) : Cell(), known ? Cell(end.offset) : Cell(),
               lag, member ? Cell(place.member->id) : Cell(), member ? Cell(place.member->client_id) : Cell(),
               member ? Cell(place.member->host) : Cell(), known ? Cell() : Cell(model::to_string(end.error))});
  }
  co_return table;
}

Table member_table(const GroupFacts& group) {
  Table table({"member_id", "instance_id", "client_id", "host", "partition_count", "assignment"});
  for (const MemberFacts& member : group.members) {
    std::string assigned;
    for (const TopicPart& part : member.assigned)
      assigned += fmt::format("{}{}/{}", assigned.empty() ? "" : ",", part.first, part.second);
    table.add({member.id, member.instance_id.empty() ? Cell() : Cell(member.instance_id), member.client_id, member.host,
               member.assigned.size(), assigned});
  }
  return table;
}

Task<int> describe(Admin* admin, const Common* common, const GroupDescribe* options) {
  int code = exit_done;
  std::string json;
  for (const std::string& name : options->names) {
    auto group = co_await describe_group(admin, name);
    if (group && group->state == "Dead") {
      tell_error(fmt::format("{}: there is no such group; weir group list shows what there is", name));
      code = exit_failed;
      continue;
    }
    if (!group) {
      code = failed(group.error());
      continue;
    }
    std::int64_t total_lag = 0;
    auto partitions = co_await partition_table(admin, &*group, &total_lag);
    if (!partitions) {
      code = failed(partitions.error());
      continue;
    }
    const Table members = member_table(*group);
    if (common->json) {
      json += fmt::format(
          R"({}{{"group":{},"type":{},"state":{},"protocol_type":{},"assignor":{},"coordinator":{},"total_lag":{},"members":{},"partitions":{}}})",
          json.empty() ? "" : ",", json_string(group->id), json_string(group->type), json_string(group->state),
          json_string(group->protocol_type), json_string(group->assignor), group->coordinator, total_lag, members.json(),
          partitions->json());
    } else {
      std::fputs(
          fmt::format("GROUP        {}\nTYPE         {}\nSTATE        {}\nASSIGNOR     {}\nCOORDINATOR  {}\nMEMBERS      {}\n"
                      "TOTAL-LAG    {}\n\n{}",
                      group->id, group->type, group->state, group->assignor.empty() ? "-" : group->assignor, group->coordinator,
                      group->members.size(), total_lag, options->members ? members.text() : partitions->text())
              .c_str(),
          stdout);
    }
  }
  if (common->json) std::puts(fmt::format(R"({{"groups":[{}]}})", json).c_str());
  co_return code;
}

Task<int> remove(Admin* admin, const Common* common, const std::vector<std::string>* names) {
  int code = exit_done;
  Table table({"group", "deleted", "error"});
  for (const std::string& name : *names) {
    auto client = co_await admin->coordinator(name);
    if (!client) {
      code = failed(client.error());
      continue;
    }
    wire::DeleteGroupsRequest request;
    request.groups_names.push_back(name);
    auto answer = co_await (*client)->call<wire::DeleteGroupsResponse>(request);
    if (!answer) {
      code = failed(answer.error());
      continue;
    }
    for (const auto& result : answer->message.results) {
      const bool good = result.error_code == model::ErrorCode::none;
      if (!good) {
        tell_error(fmt::format("{}: {}", result.group_id, error_text(result.error_code, result.error_message)));
        code = exit_failed;
      }
      table.add({std::string(result.group_id), good, good ? Cell() : Cell(model::to_string(result.error_code))});
      if (good && !common->json) std::puts(fmt::format("{} deleted", result.group_id).c_str());
    }
  }
  if (common->json) std::puts(fmt::format(R"({{"groups":{}}})", table.json()).c_str());
  co_return code;
}

}  // namespace

int group_list(const Common& common, const GroupList& options) {
  return with_admin(common, [&](Admin& admin) { return list(&admin, &common, &options); });
}
int group_describe(const Common& common, const GroupDescribe& options) {
  return with_admin(common, [&](Admin& admin) { return describe(&admin, &common, &options); });
}
int group_delete(const Common& common, const std::vector<std::string>& names) {
  if (!confirmed(common, fmt::format("delete {} with {} committed offsets", fmt::join(names, ", "),
                                     names.size() == 1 ? "its" : "their")))
    return exit_usage;
  return with_admin(common, [&](Admin& admin) { return remove(&admin, &common, &names); });
}

}  // namespace weir::cli
