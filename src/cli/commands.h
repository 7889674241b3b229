// cli/commands.h: what `weir topic`, `weir produce`, `weir consume` and `weir storage` do, apart from parsing their options.
// Contract:   each blocks and gives the exit code: 0 done, 1 the broker or the input said no (stderr says what to do), 2 wrong
//             usage. Results go to stdout, as text or as one JSON document; everything else goes to stderr.
// Place:      L9; admin commands use weir's own client over the codec, produce and consume use librdkafka.
// Tests:      tests/system/test_cli.py
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace weir::cli {

inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;
inline constexpr int exit_unhealthy = 10;  ///< weir cluster health

struct Common {
  std::string bootstrap = "127.0.0.1:9092";  ///< comma-separated; admin commands take the first that answers
  bool json = false;
  bool yes = false;  ///< -y: destructive commands do not ask
};

struct TopicCreate {
  std::vector<std::string> names;
  std::int32_t partition_count = -1;     ///< -1: the broker's default
  std::int16_t replication_factor = -1;  ///< -1: the broker's default
  std::vector<std::string> configs;      ///< NAME=VALUE
  bool validate_only = false;
  bool if_not_exists = false;
};
int topic_create(const Common& common, const TopicCreate& options);
int topic_list(const Common& common);
int topic_describe(const Common& common, const std::vector<std::string>& names);
int topic_delete(const Common& common, const std::vector<std::string>& names);

struct TopicAlter {
  std::vector<std::string> names;
  std::int32_t partition_count = -1;        ///< -1: as it is
  std::vector<std::string> configs;         ///< NAME=VALUE, NAME+=VALUE, NAME-=VALUE
  std::vector<std::string> delete_configs;  ///< NAME: back to the default
  bool validate_only = false;
};
int topic_alter(const Common& common, const TopicAlter& options);

struct TopicAnalyze {
  std::vector<std::string> names;
  std::string window = "@-1h:end";       ///< as consume -o
  std::uint32_t batch_count_max = 1000;  ///< per partition
  bool partitions = true;                ///< a row per partition too
};
int topic_analyze(const Common& common, const TopicAnalyze& options);

/// Which resource's settings are meant: exactly one.
struct ConfigTarget {
  std::vector<std::string> topics;
  std::vector<std::int32_t> brokers;
  bool cluster = false;  ///< the cluster-wide default of all brokers
  std::vector<std::string> groups;
};
struct ConfigDescribe {
  ConfigTarget target;
  std::vector<std::string> names;  ///< empty: all settings
  bool changed = false;            ///< only what differs from the default
  bool documentation = false;
};
int config_describe(const Common& common, const ConfigDescribe& options);
struct ConfigAlter {
  ConfigTarget target;
  std::vector<std::string> set;     ///< NAME=VALUE, NAME+=VALUE, NAME-=VALUE
  std::vector<std::string> remove;  ///< NAME
  bool validate_only = false;
};
int config_alter(const Common& common, const ConfigAlter& options);

struct GroupList {
  std::vector<std::string> states;
  std::vector<std::string> types;
};
int group_list(const Common& common, const GroupList& options);
struct GroupDescribe {
  std::vector<std::string> names;
  bool members = false;  ///< a row per member in place of a row per partition
};
int group_describe(const Common& common, const GroupDescribe& options);
int group_delete(const Common& common, const std::vector<std::string>& names);
struct GroupSeek {
  std::string group;
  std::string to;                        ///< as consume -o, one place
  std::optional<std::int64_t> shift_by;  ///< from the committed offset
  std::string file;                      ///< TOPIC PARTITION OFFSET, or with commas
  std::vector<std::string> topics;       ///< TOPIC or TOPIC:P,P; empty: all that the group has committed
  bool dry_run = false;
};
int group_seek(const Common& common, const GroupSeek& options);

struct ClusterHealth {
  bool watch = false;
  bool exit_when_healthy = false;
  double interval_seconds = 1;
};
int cluster_health(const Common& common, const ClusterHealth& options);
int cluster_describe(const Common& common);

struct Produce {
  std::string topic;          ///< empty: each record names its own (%t in the format)
  std::string file;           ///< empty: standard input
  std::string format;         ///< cli/record_format.h; "json": what consume --format json wrote; empty: by the two delimiters
  std::string key_delimiter;  ///< empty: no keys
  std::string record_delimiter = "\n";
  std::optional<std::string> key;  ///< of every record that has none of its own
  bool tombstones = false;         ///< an empty value is sent as null
  std::int32_t partition = -1;     ///< -1: by key, else spread
  std::string compression = "none";
  std::string acks = "all";
  std::vector<std::string> headers;     ///< NAME=VALUE, on every record
  std::vector<std::string> properties;  ///< NAME=VALUE of librdkafka
};
int produce(const Common& common, const Produce& options);

struct Consume {
  std::string topic;
  std::vector<std::string> offsets;      ///< cli/offset_spec.h; empty: from the start on
  std::vector<std::int32_t> partitions;  ///< empty: all
  std::string group;                     ///< read as a member of this group and commit; empty: without a group
  std::uint64_t count = 0;               ///< 0: no limit
  bool exit_at_end = false;
  std::string format;  ///< cli/record_format.h; empty: value and newline
  std::vector<std::string> properties;
};
int consume(const Common& common, const Consume& options);

/// An object file or a WAL segment, checked block by block and described.
int storage_inspect(const Common& common, const std::string& path);
struct StorageVerify {
  std::string store_url;               ///< as weir.store
  std::vector<std::string> topic_ids;  ///< empty: all
  std::string after;                   ///< begin behind this key
  std::uint64_t bytes_per_second = 0;  ///< 0: no bound
};
/// Reads every object of a store and checks it whole; damage is told on stderr, exit_failed.
int storage_verify(const Common& common, const StorageVerify& options, const std::map<std::string, std::string>& environment);
/// Tries what weir asks of a store at this weir.store URL. Credentials come from the environment, as the broker's do.
int store_check(const Common& common, const std::string& url, const std::map<std::string, std::string>& environment);
/// Where the batch of TOPIC/P@OFFSET lies, asked from the broker's admin listener.
int storage_where(const Common& common, const std::string& place, const std::string& admin);

}  // namespace weir::cli
