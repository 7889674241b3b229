// The first use of groups: the coordinator's topic is made for whoever asks first, and everybody who asks meanwhile gets it too.
#include <gtest/gtest.h>

#include "whole_broker.h"
#include "wire/find_coordinator.h"
#include "wire/join_group.h"

namespace weir::gates {
namespace {

using model::ErrorCode;

// Who was told "not available" would ask again a second later: the group would begin without it, and rebalance at once.
TEST(FirstUse, AllWhoAskWhileTheCoordinatorIsMadeGetIt) {
  WholeBroker broker;
  std::deque<Client> clients;
  wire::FindCoordinatorRequest find;
  find.key = "g";
  for (int i = 0; i < 5; ++i) clients.emplace_back(broker).send_request(find, 1);
  for (Client& client : clients) {
    EXPECT_EQ(client.read_answer<wire::FindCoordinatorResponse>(1)->error_code, ErrorCode::none);
  }
  wire::JoinGroupRequest join;
  join.group_id = "g";
  join.session_timeout_ms = 30000;
  join.rebalance_timeout_ms = 30000;
  join.protocol_type = "consumer";
  join.protocols.push_back({.name = "range", .metadata = {}, .unknown_tags = {}});
  for (Client& client : clients) client.send_request(join, 3);
  for (Client& client : clients) { EXPECT_EQ(client.read_answer<wire::JoinGroupResponse>(3)->error_code, ErrorCode::none); }
}

}  // namespace
}  // namespace weir::gates
