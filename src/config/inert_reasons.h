// config/inert_reasons.h: why settings of Apache Kafka have no effect here; the text that DescribeConfigs and docs/settings.md
// show.
#pragma once

#include <string_view>

namespace weir::config {

inline constexpr std::string_view no_replicas =
    "Brokers hold no replicas of each other: durability is the WAL volume's and the object store's.";
inline constexpr std::string_view no_quorum = "There is no KRaft quorum: metadata lives in the keyspace (weir.keyspace).";
inline constexpr std::string_view no_log_directories =
    "There are no log directories or segment files: data go to the WAL (weir.wal), synced before each acknowledgement, and to "
    "objects (weir.store).";
inline constexpr std::string_view no_segment_rolls =
    "Segments are virtual (docs/retention.md): nothing happens where one ends, so there is nothing to spread over time.";
inline constexpr std::string_view no_second_tier =
    "All data are in the object store already: there is no second tier to manage.";
inline constexpr std::string_view no_cleaner_threads = "The cleaner's threads and buffers do not exist here.";
inline constexpr std::string_view no_groups = "Only the classic group protocol is served by this version.";
inline constexpr std::string_view no_share_groups = "Share groups are not served by this version.";
inline constexpr std::string_view no_transactions = "Transactions are not served by this version.";
inline constexpr std::string_view no_sasl = "SASL is not served by this version.";
inline constexpr std::string_view java_tls =
    "This knob of Java's TLS has no counterpart in OpenSSL; PEM files and OpenSSL's defaults are used.";
inline constexpr std::string_view no_quotas = "Quotas are not served by this version.";
inline constexpr std::string_view no_purgatory =
    "Waiting requests are woken by what they wait for; there is no purgatory to purge.";
inline constexpr std::string_view own_metrics = "Metrics are served at /metrics of the admin listener.";
inline constexpr std::string_view no_java_plugins = "Java plug-ins cannot be loaded.";
inline constexpr std::string_view reactors = "One reactor per core does all work: see num.network.threads.";
inline constexpr std::string_view kernel_sockets =
    "The kernel tunes socket buffers itself, and memory of requests is bounded by socket.request.max.bytes and "
    "queued.max.requests.";
inline constexpr std::string_view long_backlog =
    "Listening sockets ask for a backlog of 4096; the kernel's net.core.somaxconn bounds it.";
inline constexpr std::string_view default_levels = "Recompression uses the codec's default level.";
inline constexpr std::string_view no_handover =
    "A broker that stops hands over nothing: its data are in the WAL and the object store.";
inline constexpr std::string_view absent_part = "It tunes a part of Apache Kafka that does not exist here.";

}  // namespace weir::config
