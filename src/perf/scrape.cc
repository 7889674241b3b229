#include "perf/scrape.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <memory>
#include <sstream>

#include <fmt/core.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace weir::perf {
namespace {

constexpr const char* cpu_counter = "process_cpu_seconds_total";
constexpr double hours_per_month = 730;

struct Socket {
  int fd = -1;
  ~Socket() {
    if (fd >= 0) ::close(fd);
  }
};

base::Result<std::string> http_get(const std::string& address, const std::string& path) {
  const std::size_t colon = address.rfind(':');
  const auto refuse = [&](std::string_view why) {
    return base::fail(base::ErrorKind::io, fmt::format("http://{}{}: {}", address, path, why));
  };
  if (colon == std::string::npos) return refuse("write HOST:PORT");
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(address.substr(0, colon).c_str(), address.substr(colon + 1).c_str(), &hints, &found) != 0)
    return refuse("unknown host");
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  Socket socket{::socket(found->ai_family, found->ai_socktype, found->ai_protocol)};
  const timeval limit{.tv_sec = scrape_seconds_max, .tv_usec = 0};
  ::setsockopt(socket.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(socket.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(socket.fd, found->ai_addr, found->ai_addrlen) != 0) return refuse("nobody listens");
  const std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", path, address);
  if (::send(socket.fd, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return refuse("lost");
  std::string answer;
  std::array<char, 65536> piece{};
  for (ssize_t count = 1; count > 0 && answer.size() < scrape_bytes_max;) {
    count = ::recv(socket.fd, piece.data(), piece.size(), 0);
    if (count > 0) answer.append(piece.data(), static_cast<std::size_t>(count));
  }
  const std::size_t body = answer.find("\r\n\r\n");
  if (body == std::string::npos || !answer.starts_with("HTTP/1.1 200")) return refuse("no good answer");
  return answer.substr(body + 4);
}

base::Result<double> process_cpu_seconds(int pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text);
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return base::fail(base::ErrorKind::not_found, fmt::format("there is no process {}", pid));
  std::istringstream fields(text.substr(name_end + 2));
  std::string skipped;
  double user = 0;
  double system = 0;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

base::Result<double> cgroup_cpu_seconds(const std::string& directory) {
  std::ifstream stat(directory + "/cpu.stat");
  std::string word;
  double value = 0;
  while (stat >> word >> value) {
    if (word == "usage_usec") return value / 1e6;
  }
  std::ifstream usage(directory + "/cpuacct.usage");
  if (usage >> value) return value / 1e9;
  return base::fail(base::ErrorKind::not_found, fmt::format("{}: neither cpu.stat nor cpuacct.usage can be read", directory));
}

double rise(const Counters& before, const Counters& after, std::string_view name, std::string_view label = {}) {
  double sum = 0;
  for (const auto& [series, value] : after) {
    const std::string_view full = series;
    if (full.substr(0, full.find('{')) != name || full.find(label) == std::string_view::npos) continue;
    const auto at = before.find(series);
    sum += value - (at == before.end() ? 0 : at->second);
  }
  return sum;
}

}  // namespace

Counters parse_metrics(std::string_view text) {
  Counters counters;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, std::min(text.find('\n'), text.size()));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::size_t space = line.rfind(' ');
    if (line.starts_with('#') || space == std::string_view::npos) continue;
    double value = 0;
    const auto [end, error] = std::from_chars(line.data() + space + 1, line.data() + line.size(), value);
    if (error == std::errc{} && end == line.data() + line.size()) counters[std::string(line.substr(0, space))] += value;
  }
  return counters;
}

base::Result<Counters> scrape(const std::vector<std::string>& addresses, const LocalBrokers& local) {
  Counters sum;
  for (const std::string& address : addresses) {
    auto text = http_get(address, "/metrics?samples");
    if (!text) return std::unexpected(text.error());
    for (const auto& [name, value] : parse_metrics(*text)) sum[name] += value;
  }
  for (const int pid : local.pids) {
    auto seconds = process_cpu_seconds(pid);
    if (!seconds) return std::unexpected(seconds.error());
    sum[fmt::format("{}{{pid=\"{}\"}}", cpu_counter, pid)] = *seconds;
  }
  for (const std::string& directory : local.cgroups) {
    auto seconds = cgroup_cpu_seconds(directory);
    if (!seconds) return std::unexpected(seconds.error());
    sum[fmt::format("{}{{cgroup=\"{}\"}}", cpu_counter, directory)] = *seconds;
  }
  return sum;
}

base::Result<Prices> read_prices(const std::string& path) {
  std::ifstream file(path);
  if (!file) return base::fail(base::ErrorKind::not_found, fmt::format("{}: cannot be read", path));
  Prices prices = {{"put.per.1000", 0},    {"get.per.1000", 0}, {"store.per.gb.month", 0},
                   {"retention.hours", 0}, {"cpu.per.hour", 0}, {"wal.per.gb", 0}};
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    line = line.substr(0, line.find('#'));
    std::erase_if(line, [](char c) { return c == ' ' || c == '\t' || c == '\r'; });
    if (line.empty()) continue;
    const std::size_t equals = std::min(line.find('='), line.size());
    const auto at = prices.find(line.substr(0, equals));
    const std::string_view value = std::string_view(line).substr(std::min(equals + 1, line.size()));
    const auto parsed = at == prices.end() ? std::from_chars_result{value.data(), std::errc::invalid_argument}
                                           : std::from_chars(value.data(), value.data() + value.size(), at->second);
    if (parsed.ec != std::errc{} || parsed.ptr != value.data() + value.size())
      return base::fail(
          base::ErrorKind::invalid,
          fmt::format("{}:{}: write NAME = NUMBER with put.per.1000, get.per.1000, store.per.gb.month, retention.hours, "
                      "cpu.per.hour or wal.per.gb",
                      path, number));
  }
  return prices;
}

Costs costs(const Counters& before, const Counters& after, double bytes_in, const Prices& prices) {
  Costs c;
  c.gigabytes_in = bytes_in / 1e9;
  c.put_calls = rise(before, after, "weir_store_requests_total", "\"put\"");
  c.get_calls = rise(before, after, "weir_store_requests_total", "\"get\"");
  c.other_calls = rise(before, after, "weir_store_requests_total") - c.put_calls - c.get_calls;
  c.put_bytes = rise(before, after, "weir_store_bytes_total", "\"put\"");
  c.get_bytes = rise(before, after, "weir_store_bytes_total", "\"get\"");
  c.wal_writes = rise(before, after, "weir_wal_writes_total");
  bool cpu_known = false;
  for (const auto& [name, value] : after) cpu_known = cpu_known || name.starts_with(cpu_counter);
  if (cpu_known) c.cpu_seconds = rise(before, after, cpu_counter);
  if (prices.empty()) return c;
  c.dollars = c.put_calls / 1000 * prices.at("put.per.1000") +
              (c.get_calls + c.other_calls) / 1000 * prices.at("get.per.1000") +
              c.put_bytes / 1e9 * prices.at("store.per.gb.month") * prices.at("retention.hours") / hours_per_month +
              std::max(0.0, c.cpu_seconds) / 3600 * prices.at("cpu.per.hour") + c.gigabytes_in * prices.at("wal.per.gb");
  return c;
}

}  // namespace weir::perf
