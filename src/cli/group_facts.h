// cli/group_facts.h: what the commands know of a group: its state, its members with what they read, its committed offsets.
// Contract:   groups of the newer protocol are asked first where the broker knows them, then classic ones; a group that nobody
//             knows has the state "Dead" and no members.
// Tests:      tests/system/test_cli_admin.py
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/admin.h"

namespace weir::cli {

struct MemberFacts {
  std::string id;
  std::string instance_id;
  std::string client_id;
  std::string host;
  std::vector<TopicPart> assigned;
};
struct GroupFacts {
  std::string id;
  std::string type = "classic";
  std::string state = "Dead";
  std::string protocol_type;
  std::string assignor;
  std::int32_t coordinator = -1;
  std::vector<MemberFacts> members;
};

runtime::Task<base::Result<GroupFacts>> describe_group(Admin* admin, std::string group);
/// All that the group has committed.
runtime::Task<base::Result<std::map<TopicPart, std::int64_t>>> committed_offsets(Admin* admin, std::string group);

}  // namespace weir::cli
