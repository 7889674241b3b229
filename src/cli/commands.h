// cli/commands.h: what `weir topic`, `weir produce`, `weir consume` and `weir storage` do, apart from parsing their options.
// Contract:   each blocks and gives the exit code: 0 done, 1 the broker or the input said no (stderr says what to do), 2 wrong
//             usage. Results go to stdout, as text or as one JSON document; everything else goes to stderr.
// Place:      L9; admin commands use weir's own client over the codec, produce and consume use librdkafka.
// Tests:      tests/system/test_cli.py
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace weir::cli {

inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;

struct Common {
  std::string bootstrap = "127.0.0.1:9092";  ///< first address of a comma-separated list is used by admin commands
  bool json = false;
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

struct Produce {
  std::string topic;
  std::string file;           ///< empty: standard input
  std::string key_delimiter;  ///< empty: no keys
  std::string record_delimiter = "\n";
  std::int32_t partition = -1;  ///< -1: by key, else spread
  std::string compression = "none";
  std::vector<std::string> headers;     ///< NAME=VALUE, on every record
  std::vector<std::string> properties;  ///< NAME=VALUE of librdkafka
};
int produce(const Common& common, const Produce& options);

struct Consume {
  std::string topic;
  std::string offset = "start";  ///< start, end, N, -N (before the end), @MS (time), as in kcat and rpk
  std::int32_t partition = -1;   ///< -1: all
  std::uint64_t count = 0;       ///< 0: no limit
  bool exit_at_end = false;
  std::string format;  ///< empty: value and newline; %t %p %o %k %s %T %K %S %h and \n \t \\ otherwise
  std::vector<std::string> properties;
};
int consume(const Common& common, const Consume& options);

/// An object file or a WAL segment, checked block by block and described.
int storage_inspect(const Common& common, const std::string& path);
/// Where the batch of TOPIC/P@OFFSET lies, asked from the broker's admin listener.
int storage_where(const Common& common, const std::string& place, const std::string& admin);

}  // namespace weir::cli
