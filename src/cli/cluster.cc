// cli/cluster.cc: weir cluster describe and health.
// Contract:   healthy: every broker that the metadata names answers on its advertised address, a controller is known, and every
//             partition has a leader and its replicas in sync. Brokers of one host that nobody can reach are the usual fault of a
//             first hour, so each address is really dialled.
#include <cstdio>
#include <string>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "cli/admin.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "runtime/sync.h"

namespace weir::cli {
namespace {

using runtime::Task;

struct Health {
  std::string cluster_id;
  std::int32_t controller = -1;
  std::vector<std::int32_t> brokers;
  std::vector<std::string> faults;            ///< for a person
  std::vector<std::int32_t> unreachable;      ///< brokers
  std::vector<std::string> leaderless;        ///< TOPIC/P
  std::vector<std::string> under_replicated;  ///< TOPIC/P
  [[nodiscard]] bool healthy() const { return faults.empty(); }
};

std::string or_dash(std::string text) { return text.empty() ? "-" : text; }
std::string numbers(const std::vector<std::int32_t>& values) { return fmt::format("{}", fmt::join(values, ",")); }
std::string strings(const std::vector<std::string>& values) {
  std::string out;
  for (const std::string& value : values) out += (out.empty() ? "" : ",") + json_string(value);
  return out;
}

Task<Health> examine(runtime::Network* network, std::string bootstrap) {
  Health health;
  // A new connection each time: the old one may lead to a broker that is gone.
  auto admin = co_await Admin::open(*network, bootstrap);
  if (!admin) {
    health.faults.push_back(admin.error().text);
    co_return health;
  }
  auto facts = co_await (*admin)->cluster({}, true);
  if (!facts) {
    health.faults.push_back(facts.error().text);
    co_return health;
  }
  health.cluster_id = facts->cluster_id;
  health.controller = facts->controller;
  if (facts->controller < 0) health.faults.emplace_back("no controller is known");
  for (const BrokerFacts& broker : facts->brokers) {
    health.brokers.push_back(broker.id);
    auto client = co_await (*admin)->broker(broker.id);
    if (client) continue;
    health.unreachable.push_back(broker.id);
    health.faults.push_back(client.error().text);
  }
  for (const TopicFacts& topic : facts->topics) {
    for (const PartitionFacts& partition : topic.partitions) {
      const std::string name = fmt::format("{}/{}", topic.name, partition.index);
      if (partition.leader < 0) health.leaderless.push_back(name);
      if (partition.in_sync.size() < partition.replicas.size()) health.under_replicated.push_back(name);
    }
  }
  if (!health.leaderless.empty())
    health.faults.push_back(fmt::format("{} partitions have no leader", health.leaderless.size()));
  if (!health.under_replicated.empty())
    health.faults.push_back(fmt::format("{} partitions have replicas out of sync", health.under_replicated.size()));
  co_return health;
}

std::string shown(const Common& common, const Health& health) {
  if (common.json) {
    return fmt::format(
        R"({{"healthy":{},"cluster_id":{},"controller":{},"brokers":[{}],"unreachable_brokers":[{}],"leaderless_partitions":[{}],"under_replicated_partitions":[{}],"faults":[{}]}})"
        "\n",
        health.healthy(), json_string(health.cluster_id), health.controller, numbers(health.brokers),
        numbers(health.unreachable), strings(health.leaderless), strings(health.under_replicated), strings(health.faults));
  }
  std::string out = fmt::format(
      "HEALTHY           {}\nCLUSTER-ID        {}\nCONTROLLER        {}\nBROKERS           {}\n"
      "UNREACHABLE       {}\nLEADERLESS        {}\nUNDER-REPLICATED  {}\n",
      health.healthy(), or_dash(health.cluster_id), health.controller, numbers(health.brokers), numbers(health.unreachable),
      health.leaderless.size(), health.under_replicated.size());
  for (const std::string& fault : health.faults) out += fmt::format("FAULT             {}\n", fault);
  return out;
}

Task<int> watch(runtime::Network* network, const Common* common, const ClusterHealth* options) {
  std::string before;
  const auto pause = std::chrono::milliseconds(static_cast<std::int64_t>(std::max(0.05, options->interval_seconds) * 1000));
  for (;;) {
    const Health health = co_await examine(network, common->bootstrap);
    const std::string now = shown(*common, health);
    // While waiting for health only the end is of interest, unless each change is to be seen.
    if (now != before && (options->watch || !options->exit_when_healthy || health.healthy())) {
      std::fputs(now.c_str(), stdout);
      std::fflush(stdout);
    }
    before = now;
    if (health.healthy() && (options->exit_when_healthy || !options->watch)) co_return exit_done;
    if (!options->watch && !options->exit_when_healthy) co_return exit_unhealthy;
    (void)co_await runtime::sleep_for(pause);
  }
}

Task<int> describe(Admin* admin, const Common* common) {
  auto facts = co_await admin->cluster({}, true);
  if (!facts) co_return failed(facts.error());
  Table table({"broker", "host", "port", "rack", "controller", "leads"});
  for (const BrokerFacts& broker : facts->brokers) {
    std::int64_t leads = 0;
    for (const TopicFacts& topic : facts->topics) {
      for (const PartitionFacts& partition : topic.partitions)
        leads += static_cast<std::int64_t>(partition.leader == broker.id);
    }
    table.add({broker.id, broker.host, broker.port, broker.rack, broker.id == facts->controller, leads});
  }
  std::fputs(
      common->json
          ? fmt::format("{{\"cluster_id\":{},\"controller\":{},\"topics\":{},\"brokers\":{}}}\n",
                        json_string(facts->cluster_id), facts->controller, facts->topics.size(), table.json())
                .c_str()
          : fmt::format("CLUSTER-ID  {}\nTOPICS      {}\n\n{}", facts->cluster_id, facts->topics.size(), table.text()).c_str(),
      stdout);
  co_return exit_done;
}

}  // namespace

int cluster_health(const Common& common, const ClusterHealth& options) {
  return with_network(common, [&](runtime::Network& network) { return watch(&network, &common, &options); });
}

int cluster_describe(const Common& common) {
  return with_admin(common, [&](Admin& admin) { return describe(&admin, &common); });
}

}  // namespace weir::cli
