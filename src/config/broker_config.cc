#include "config/broker_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include <arpa/inet.h>
#include <fmt/core.h>
#include <fmt/ranges.h>

#include "base/ensure.h"

namespace weir::config {
namespace {

using base::ErrorKind;
using base::fail;

/// weir.merge.rate=auto, with a store that is asked over the network.
constexpr std::uint64_t merge_rate_auto_bytes = 64ULL << 20U;

struct Endpoint {
  std::string scheme;
  std::string host;
  std::uint16_t port = 0;
};

bool is_loopback(std::string_view host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

// SCHEME://HOST:PORT, the host may be empty or an IPv6 address in brackets.
base::Result<Endpoint> parse_endpoint(std::string_view text) {
  const std::size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos || scheme_end == 0) {
    return fail(ErrorKind::invalid, fmt::format("'{}': write it as NAME://HOST:PORT", text));
  }
  Endpoint endpoint{.scheme = std::string(text.substr(0, scheme_end)), .host = {}, .port = 0};
  const std::string_view rest = text.substr(scheme_end + 3);
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) return fail(ErrorKind::invalid, fmt::format("'{}': the port is missing", text));
  std::string_view host = rest.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const std::string_view port = rest.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (error != std::errc{} || end != port.data() + port.size()) {
    return fail(ErrorKind::invalid, fmt::format("'{}': '{}' is not a port (0 to 65535)", text, port));
  }
  endpoint.host = std::string(host);
  return endpoint;
}

std::string upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - ('a' - 'A'));
  }
  return text;
}

base::Result<std::map<std::string, SecurityProtocol>> protocol_map(const Settings& settings) {
  std::map<std::string, SecurityProtocol> map;
  for (const std::string& item : split_list(settings.text("listener.security.protocol.map").value_or(""))) {
    const std::size_t colon = item.find(':');
    const std::string protocol = colon == std::string::npos ? "" : upper(item.substr(colon + 1));
    if (protocol == "PLAINTEXT") {
      map[upper(item.substr(0, colon))] = SecurityProtocol::plaintext;
    } else if (protocol == "SSL") {
      map[upper(item.substr(0, colon))] = SecurityProtocol::ssl;
    } else if (protocol != "SASL_PLAINTEXT" && protocol != "SASL_SSL") {
      return fail(ErrorKind::invalid,
                  fmt::format("listener.security.protocol.map: '{}': write it as NAME:PLAINTEXT or NAME:SSL", item));
    }
  }
  return map;
}

base::Result<void> add_listeners(BrokerConfig& config) {
  const Settings& settings = config.settings;
  auto protocols = protocol_map(settings);
  if (!protocols) return std::unexpected(protocols.error());
  std::set<std::pair<std::string, std::uint16_t>> places;
  for (const std::string& item : split_list(settings.text("listeners").value_or(""))) {
    auto endpoint = parse_endpoint(item);
    if (!endpoint) return base::with_context("listeners", endpoint.error());
    const std::string name = upper(endpoint->scheme);
    const auto protocol = protocols->find(name);
    if (protocol == protocols->end()) {
      return fail(ErrorKind::invalid,
                  fmt::format("listeners: {} has no security protocol that is served (PLAINTEXT or SSL): name it in "
                              "listener.security.protocol.map; SASL is not served by this version",
                              name));
    }
    for (const ListenerConfig& other : config.listeners) {
      if (other.name == name) return fail(ErrorKind::invalid, fmt::format("listeners: the name {} is given twice", name));
    }
    if (endpoint->port != 0 && !places.emplace(endpoint->host, endpoint->port).second) {
      return fail(ErrorKind::invalid, fmt::format("listeners: two listeners on port {}", endpoint->port));
    }
    if (protocol->second == SecurityProtocol::plaintext && !is_loopback(endpoint->host) && !settings.boolean("weir.insecure")) {
      return fail(ErrorKind::invalid,
                  fmt::format("listeners: {} accepts unencrypted connections from other hosts. Bind it to 127.0.0.1, "
                              "use an SSL listener, or set weir.insecure=true",
                              item));
    }
    config.listeners.push_back({.name = name,
                                .host = endpoint->host,
                                .port = endpoint->port,
                                .protocol = protocol->second,
                                .advertised_host = {},
                                .advertised_port = 0});
  }
  if (config.listeners.empty()) return fail(ErrorKind::invalid, "listeners: at least one is needed");
  for (const std::string& item : split_list(settings.text("advertised.listeners").value_or(""))) {
    auto endpoint = parse_endpoint(item);
    if (!endpoint) return base::with_context("advertised.listeners", endpoint.error());
    const auto at = std::ranges::find(config.listeners, upper(endpoint->scheme), &ListenerConfig::name);
    if (at == config.listeners.end()) {
      return fail(ErrorKind::invalid, fmt::format("advertised.listeners: {} is not among the listeners", endpoint->scheme));
    }
    if (endpoint->host.empty() || endpoint->host == "0.0.0.0" || endpoint->host == "::") {
      return fail(ErrorKind::invalid,
                  fmt::format("advertised.listeners: '{}': clients cannot connect to this; name a host", item));
    }
    at->advertised_host = endpoint->host;
    at->advertised_port = endpoint->port;
  }
  return {};
}

base::Result<void> add_admin_listeners(BrokerConfig& config) {
  for (const std::string& item : split_list(config.settings.text("weir.admin.listeners").value_or(""))) {
    auto endpoint = parse_endpoint(item);
    if (!endpoint) return base::with_context("weir.admin.listeners", endpoint.error());
    if (endpoint->scheme != "http")
      return fail(ErrorKind::invalid, fmt::format("weir.admin.listeners: '{}': write it as http://HOST:PORT", item));
    if (!is_loopback(endpoint->host) && !config.settings.boolean("weir.insecure")) {
      return fail(
          ErrorKind::invalid,
          fmt::format("weir.admin.listeners: {} is open to other hosts. Bind it to 127.0.0.1 or set weir.insecure=true", item));
    }
    config.admin_listeners.push_back({.host = endpoint->host, .port = endpoint->port});
  }
  return {};
}

// ADDRESS:COUNT, the address numeric: names would have to be resolved, and might mean something else tomorrow.
base::Result<void> add_connections_per_ip(BrokerConfig& config) {
  constexpr std::string_view setting = "max.connections.per.ip.overrides";
  for (const std::string& item : split_list(config.settings.text(setting).value_or(""))) {
    const std::size_t colon = item.rfind(':');
    const std::string_view count = colon == std::string::npos ? "" : std::string_view(item).substr(colon + 1);
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), value);
    if (count.empty() || error != std::errc{} || end != count.data() + count.size())
      return fail(ErrorKind::invalid, fmt::format("{}: '{}': write it as ADDRESS:COUNT", setting, item));
    std::string host = item.substr(0, colon);
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    std::array<char, INET6_ADDRSTRLEN> text{};
    in6_addr address{};
    const int family = host.find(':') == std::string::npos ? AF_INET : AF_INET6;
    if (inet_pton(family, host.c_str(), &address) != 1)
      return fail(ErrorKind::invalid, fmt::format("{}: '{}' is not a numeric address", setting, host));
    ENSURE(inet_ntop(family, &address, text.data(), text.size()) != nullptr, "an address that was just read");
    config.connections_per_ip[text.data()] = value;
  }
  return {};
}

base::Result<void> add_tls(BrokerConfig& config) {
  const auto certificate = config.settings.text("ssl.keystore.location");
  if (certificate) {
    TlsConfig tls;
    tls.certificate_file = *certificate;
    tls.key_file = config.settings.text("ssl.keystore.key").value_or(*certificate);
    tls.trust_file = config.settings.text("ssl.truststore.location").value_or("");
    const std::string auth = config.settings.text("ssl.client.auth").value_or("none");
    tls.client_auth = auth == "required"    ? ClientAuth::required
                      : auth == "requested" ? ClientAuth::requested
                                            : ClientAuth::none;
    if (tls.client_auth != ClientAuth::none && tls.trust_file.empty()) {
      return fail(ErrorKind::invalid,
                  fmt::format("ssl.client.auth={} needs ssl.truststore.location: a PEM file with the authorities", auth));
    }
    config.tls = std::move(tls);
  }
  for (const ListenerConfig& listener : config.listeners) {
    if (listener.protocol == SecurityProtocol::ssl && !config.tls) {
      return fail(ErrorKind::invalid,
                  fmt::format("the listener {} is SSL: set ssl.keystore.location to a PEM file with the certificate "
                              "chain and the private key",
                              listener.name));
    }
  }
  return {};
}

base::Result<void> add_wal(BrokerConfig& config) {
  constexpr std::uint64_t wal_bytes_min = 64ULL << 20U;
  config.wal.directory = config.data_directory + "/wal";
  const auto url = config.settings.text("weir.wal");
  if (!url) return {};
  constexpr std::string_view scheme = "file://";
  if (!url->starts_with(scheme))
    return fail(ErrorKind::invalid, fmt::format("weir.wal: '{}': write it as file:///DIR?size=1GiB", *url));
  std::string_view rest = std::string_view(*url).substr(scheme.size());
  const std::size_t question = std::min(rest.find('?'), rest.size());
  config.wal.directory = std::string(rest.substr(0, question));
  if (config.wal.directory.empty()) return fail(ErrorKind::invalid, fmt::format("weir.wal: '{}' names no directory", *url));
  rest.remove_prefix(std::min(question + 1, rest.size()));
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view item = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (item.starts_with("size=")) {
      auto size = parse_size(item.substr(5));
      if (!size) return base::with_context("weir.wal: size", size.error());
      if (*size < wal_bytes_min)
        return fail(ErrorKind::invalid, fmt::format("weir.wal: size={} is below 64MiB", item.substr(5)));
      config.wal.size_bytes = *size;
    } else if (item == "sharing=shared") {
      return fail(ErrorKind::invalid,
                  "weir.wal: sharing=shared needs a fleet, which this version does not run; use sharing=private");
    } else if (item.starts_with("emulate=")) {
      config.wal.emulate = item.substr(8);
      if (std::ranges::find(emulated_devices, config.wal.emulate) == emulated_devices.end()) {
        const std::string_view near = nearest_name(emulated_devices, config.wal.emulate);
        return fail(ErrorKind::invalid,
                    fmt::format("weir.wal: emulate={}: {}there are {}", config.wal.emulate,
                                near.empty() ? "" : fmt::format("did you mean {}? ", near), fmt::join(emulated_devices, ", ")));
      }
    } else if (item != "sharing=private") {
      return fail(ErrorKind::invalid,
                  fmt::format("weir.wal: unknown parameter '{}': size, sharing and emulate are known", item));
    }
  }
  return {};
}

}  // namespace

base::Result<BrokerConfig> make_broker_config(Settings settings) {
  BrokerConfig config;
  config.settings = std::move(settings);
  const Settings& s = config.settings;
  config.node_id = static_cast<std::int32_t>(s.integer("node.id"));
  config.rack = s.text("broker.rack").value_or("");
  config.data_directory = *s.text("weir.data.dir");
  if (config.data_directory.empty()) return fail(ErrorKind::invalid, "weir.data.dir: name a directory");
  config.store_url = s.text("weir.store").value_or("file://" + config.data_directory + "/store");
  config.keyspace_url = s.text("weir.keyspace").value_or("file://" + config.data_directory + "/keyspace");
  config.cache_disk.directory = s.text("weir.cache.disk.path").value_or(config.data_directory + "/cache");
  config.wal_io = *s.text("weir.wal.io");
  config.log_level = *s.text("weir.log.level");
  config.log_json = s.text("weir.log.format") == "json";
  if (const auto shards = s.integer_or_null("num.network.threads")) config.shard_count = static_cast<std::uint32_t>(*shards);
  const auto size = [&](std::string_view name, std::uint64_t& into) -> base::Result<void> {
    auto value = parse_size(*s.text(name));
    if (!value) return base::with_context(name, value.error());
    into = *value;
    return {};
  };
  const auto duration = [&](std::string_view name, std::int64_t& into) -> base::Result<void> {
    auto value = parse_duration_ms(*s.text(name));
    if (!value) return base::with_context(name, value.error());
    into = *value;
    return {};
  };
  WEIR_TRY(size("weir.cache.memory", config.cache_memory_bytes));
  WEIR_TRY(size("weir.cache.disk.size", config.cache_disk.size_bytes));
  WEIR_TRY(size("weir.catchup.bandwidth", config.catchup_bytes_per_second));
  WEIR_TRY(size("weir.upload.size", config.upload_size_bytes));
  WEIR_TRY(duration("weir.upload.age", config.upload_age_ms));
  WEIR_TRY(size("weir.merge.memory", config.merge.memory_bytes));
  if (*s.text("weir.merge.rate") == "auto") {
    config.merge.bytes_per_second = config.store_url.starts_with("file:") ? 0 : merge_rate_auto_bytes;
  } else {
    WEIR_TRY(size("weir.merge.rate", config.merge.bytes_per_second));
  }
  WEIR_TRY(size("weir.merge.split.bytes", config.merge.split_bytes));
  WEIR_TRY(duration("weir.garbage.delay", config.garbage_delay_ms));
  WEIR_TRY(duration("weir.shutdown.timeout", config.shutdown_timeout_ms));
  if (config.cache_memory_bytes < (16ULL << 20U)) return fail(ErrorKind::invalid, "weir.cache.memory: at least 16MiB");
  if (config.cache_disk.directory.empty()) return fail(ErrorKind::invalid, "weir.cache.disk.path: name a directory");
  if (config.cache_disk.size_bytes != 0 && config.cache_disk.size_bytes < (64ULL << 20U)) {
    return fail(ErrorKind::invalid, "weir.cache.disk.size: 0 (no disk cache) or at least 64MiB");
  }
  if (config.catchup_bytes_per_second != 0 && config.catchup_bytes_per_second < (1ULL << 20U)) {
    return fail(ErrorKind::invalid, "weir.catchup.bandwidth: 0 (no limit) or at least 1MiB, which is a block of an object");
  }
  if (config.upload_size_bytes < (1ULL << 20U)) return fail(ErrorKind::invalid, "weir.upload.size: at least 1MiB");
  if (config.merge.memory_bytes < (1ULL << 20U)) return fail(ErrorKind::invalid, "weir.merge.memory: at least 1MiB");
  if (config.merge.split_bytes != 0 && config.merge.split_bytes < (64ULL << 10U))
    return fail(ErrorKind::invalid, "weir.merge.split.bytes: at least 64KiB, or 0");
  if (config.garbage_delay_ms < 1000) return fail(ErrorKind::invalid, "weir.garbage.delay: at least 1s");
  WEIR_TRY(add_listeners(config));
  WEIR_TRY(add_admin_listeners(config));
  WEIR_TRY(add_connections_per_ip(config));
  WEIR_TRY(add_tls(config));
  WEIR_TRY(add_wal(config));
  return config;
}

std::string settings_page() {
  std::string page =
      "# Settings\n\nMade from the declarations in `src/config` by `weir settings-page`; the tests compare it.\n";
  const auto section = [&](std::string_view title, std::span<const Declaration> table, Use use) {
    page += fmt::format("\n## {}\n\n| name | type | default | | changes |\n|---|---|---|---|---|\n", title);
    for (const Declaration& d : table) {
      if (d.use != use) continue;
      std::string text(d.documentation);
      if (!d.values.empty()) text += fmt::format(" One of: {}.", d.values);
      page +=
          fmt::format("| `{}` | {} | {} | {} | {} |\n", d.name, to_string(d.type),
                      d.default_value ? (d.default_value->empty() ? "empty" : fmt::format("`{}`", *d.default_value)) : "none",
                      text, table.data() == broker_declarations().data() ? to_string(d.dynamic) : "at any time");
    }
  };
  section("Broker: in effect", broker_declarations(), Use::implemented);
  section("Topic: in effect", topic_declarations(), Use::implemented);
  section("Group: in effect", group_declarations(), Use::implemented);
  section("Client metrics: in effect", client_metrics_declarations(), Use::implemented);
  section("Broker: stops the start when set", broker_declarations(), Use::refused);
  section("Broker: accepted, without meaning here", broker_declarations(), Use::inert);
  section("Topic: accepted, without meaning here", topic_declarations(), Use::inert);
  section("Group: accepted, without meaning here", group_declarations(), Use::inert);
  return page;
}

}  // namespace weir::config
