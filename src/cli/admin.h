// cli/admin.h: what the admin commands ask a cluster: connections by broker, who leads and coordinates what, offsets by time.
// Why:        a request about a partition, a group or a broker's own settings must go to one certain broker; every command needs
//             the same few questions for that.
// Place:      L9, on one reactor, one command long. Works against any Kafka: versions are what both sides have.
// Contract:   answers are copies: nothing points into a received frame.
// Failure:    the client's; a coordinator that is being loaded or made is asked again up to coordinator_tries_max times.
// Limits:     coordinator_tries_max; one connection per broker.
// Tests:      tests/system/test_cli_admin.py
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/commands.h"
#include "cli/machine.h"
#include "cli/output.h"
#include "client/client.h"
#include "model/error_code.h"
#include "runtime/real.h"

namespace weir::cli {

inline constexpr int coordinator_tries_max = 40;
inline constexpr std::int64_t time_end = -1;    ///< ListOffsets' word for the end of a partition
inline constexpr std::int64_t time_start = -2;  ///< and for its start

using TopicPart = std::pair<std::string, std::int32_t>;

struct PartitionFacts {
  std::int32_t index = 0;
  std::int32_t leader = -1;
  std::int32_t epoch = -1;
  std::vector<std::int32_t> replicas;
  std::vector<std::int32_t> in_sync;
  std::vector<std::int32_t> offline;
  model::ErrorCode error = model::ErrorCode::none;
};
struct TopicFacts {
  std::string name;
  model::TopicId id;
  model::ErrorCode error = model::ErrorCode::none;
  bool internal = false;
  std::vector<PartitionFacts> partitions;  ///< by index
};
struct BrokerFacts {
  std::int32_t id = -1;
  std::string host;
  std::uint16_t port = 0;
  std::optional<std::string> rack;
};
struct ClusterFacts {
  std::string cluster_id;
  std::int32_t controller = -1;
  std::vector<BrokerFacts> brokers;  ///< by id
  std::vector<TopicFacts> topics;    ///< by name
};

struct OffsetAnswer {
  std::int64_t offset = -1;
  std::int64_t timestamp = -1;
  model::ErrorCode error = model::ErrorCode::none;
};

class Admin {
 public:
  template <class T>
  using Answer = runtime::Task<base::Result<T>>;

  static Answer<std::unique_ptr<Admin>> open(runtime::Network& network, std::string bootstrap);
  /// The broker that the bootstrap address led to.
  [[nodiscard]] client::Client& any() { return *bootstrap_; }
  /// No names: no topics, only brokers; `all`: every topic.
  Answer<ClusterFacts> cluster(std::vector<std::string> topics, bool all = false);
  /// A connection to this broker, kept for the command's life.
  Answer<client::Client*> broker(std::int32_t id);
  Answer<std::int32_t> coordinator_id(std::string group);
  Answer<client::Client*> coordinator(std::string group);
  /// For each partition the first offset at or after the time (or time_end, time_start), asked from its leader. -1: none.
  Answer<std::map<TopicPart, OffsetAnswer>> offsets_at(std::vector<std::pair<TopicPart, std::int64_t>> asked);

 private:
  Admin(runtime::Network& network, std::string bootstrap) : network_(network), bootstrap_text_(std::move(bootstrap)) {}
  runtime::Network& network_;
  std::string bootstrap_text_;
  std::unique_ptr<client::Client> bootstrap_;
  std::map<std::int32_t, BrokerFacts> brokers_;
  std::map<std::int32_t, std::unique_ptr<client::Client>> connections_;
};

/// A broker's text in front of the code's name.
[[nodiscard]] std::string error_text(model::ErrorCode code, const std::optional<std::string_view>& message = std::nullopt);

/// Runs `work(Network&) -> Task<int>` on a runtime of its own.
template <class Work>
int with_network(const Common&, Work work) {
  const auto real = command_machine();
  if (real == nullptr) return exit_failed;
  const auto main_task = [&] { return work(*real->doors().network); };
  return real->run(main_task);
}

/// Runs `work(Admin&) -> Task<int>` the same way. Errors to connect are told here.
template <class Work>
int with_admin(const Common& common, Work work) {
  return with_network(common, [&](runtime::Network& network) {
    return [](runtime::Network* net, std::string bootstrap, Work* body) -> runtime::Task<int> {
      auto admin = co_await Admin::open(*net, std::move(bootstrap));
      if (!admin) {
        tell_error(admin.error().text);
        co_return admin.kind() == base::ErrorKind::invalid ? exit_usage : exit_failed;
      }
      co_return co_await (*body)(**admin);
    }(&network, common.bootstrap, &work);
  });
}

/// Tells the failure and gives exit_failed.
int failed(const base::Error& error);
/// -y, or "y" at a terminal; without either an error is told. `what` completes "weir is about to ...".
[[nodiscard]] bool confirmed(const Common& common, const std::string& what);

}  // namespace weir::cli
