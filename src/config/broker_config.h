// config/broker_config.h: the broker's settings in effect, typed and cross-checked; what app/ builds the broker from.
// Contract:   pure: from Settings, or an error that names the setting. A topic's settings come from its own values over these.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/settings.h"
#include "model/topic_config.h"

namespace weir::config {

enum class SecurityProtocol : std::uint8_t { plaintext, ssl };

struct ListenerConfig {
  std::string name;  ///< upper case
  std::string host;  ///< empty: all interfaces
  std::uint16_t port = 0;
  SecurityProtocol protocol = SecurityProtocol::plaintext;
  std::string advertised_host;        ///< empty: the address that the client connected to
  std::uint16_t advertised_port = 0;  ///< 0: the bound port
};

struct AdminListener {
  std::string host;
  std::uint16_t port = 0;
};

/// What emulate= of weir.wal may name; runtime/device_model.h has their models.
inline constexpr std::array<std::string_view, 4> emulated_devices = {"fsx", "gp3", "io2", "nvme"};

struct WalConfig {
  std::string directory;
  std::uint64_t size_bytes = 1ULL << 30U;
  std::string emulate;              ///< of emulated_devices; empty: the device as it is
  std::uint32_t segment_bytes = 0;  ///< 0: chosen by the WAL from its size. No setting: the simulator recycles small ones often
};

enum class ClientAuth : std::uint8_t { none, requested, required };

struct TlsConfig {
  std::string certificate_file;
  std::string key_file;
  std::string trust_file;
  ClientAuth client_auth = ClientAuth::none;
};

struct MergeConfig {
  std::uint64_t memory_bytes = 0;
  std::uint64_t bytes_per_second = 0;
  std::uint64_t split_bytes = 0;  ///< 0: no partition gets objects of its own
  std::size_t inputs_max = 16;    ///< no setting, as the next two: the simulator merges small objects often
  std::size_t objects_max = 256;
  std::int64_t interval_ms = 10'000;
};

struct CacheDiskConfig {
  std::string directory;
  std::uint64_t size_bytes = 0;  ///< 0: none
  std::uint32_t slab_bytes = 0;  ///< 0: chosen from the size. No setting: the simulator uses small ones again and again
};

struct BrokerConfig {
  std::int32_t node_id = 0;
  std::string rack;
  std::vector<ListenerConfig> listeners;
  std::vector<AdminListener> admin_listeners;
  std::map<std::string, std::uint32_t> connections_per_ip;  ///< max.connections.per.ip.overrides, by numeric address
  std::optional<TlsConfig> tls;
  std::string data_directory;
  WalConfig wal;
  std::string store_url;     ///< file:///DIR or s3://...
  std::string keyspace_url;  ///< file:///DIR
  CacheDiskConfig cache_disk;
  std::uint64_t cache_memory_bytes = 0;
  std::uint64_t cache_blocks_bytes = 0;  ///< of it, for blocks of objects; 0: a quarter. No setting: the simulator's are small
  std::uint64_t catchup_bytes_per_second = 0;  ///< 0: no limit
  std::uint64_t upload_size_bytes = 0;
  std::int64_t upload_age_ms = 0;
  MergeConfig merge;
  std::int64_t garbage_delay_ms = 0;
  std::int64_t shutdown_timeout_ms = 0;
  std::optional<std::uint32_t> shard_count;
  std::string wal_io;  ///< auto, io_uring, pwritev2
  std::string log_level;
  bool log_json = false;
  Settings settings;  ///< as given, for DescribeConfigs and for what is read by name
};

[[nodiscard]] base::Result<BrokerConfig> make_broker_config(Settings settings);

/// A topic's settings in effect. `own` must have been checked with check_topic_values().
[[nodiscard]] model::TopicConfig make_topic_config(const Values& own, const Settings& broker);

/// docs/settings.md, from the declarations.
[[nodiscard]] std::string settings_page();

}  // namespace weir::config
