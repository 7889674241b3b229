// bench/members_main.cc: ten thousand consumer group members in one process, for bench/groups.
// Why:        members written in a script take more of two cores than the broker does, and their turns, not the broker's, are
//             then what a producer's latency shows.
// Contract:   weir_members PORT GROUPS MEMBERS. Connects all members over loopback, prints "ready"; then, for each line "SECONDS" on
//             standard input, makes every group rebalance once, the groups begun evenly over so many seconds (0: all at once), and
//             prints "done SECONDS_TAKEN REQUESTS". A rebalance has ended when every member got an assignment and a heartbeat of
//             every member, sent after that, was answered without an error.
//             Who has an assignment asks by heartbeats whether it still holds, as a member does: a leader that joins late begins
//             another generation.
//             The classic protocol as Kafka's documentation gives it: FindCoordinator 1, JoinGroup 3, SyncGroup 2, Heartbeat 2.
// Failure:    a broken connection, an unexpected error code, or two leaders' assignments in one group: exit code 1 with a line on
//             standard error.
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int16_t find_key = 10;
constexpr std::int16_t heartbeat_key = 12;
constexpr std::int16_t join_key = 11;
constexpr std::int16_t sync_key = 14;
constexpr std::int32_t timeout_ms = 60'000;
constexpr auto retry_after = std::chrono::milliseconds(100);
constexpr auto heartbeat_every = std::chrono::milliseconds(300);
// CoordinatorNotAvailable, NotCoordinator, IllegalGeneration, UnknownMemberId, RebalanceInProgress: join again.
const std::set<int> join_again{14, 15, 16, 22, 25, 27};
constexpr int unknown_member = 25;

[[noreturn]] void give_up(const std::string& why) {
  std::cerr << "weir_members: " << why << "\n";
  std::exit(1);
}

template <class Integer>
void put(std::string& to, Integer value) {
  for (int shift = static_cast<int>(sizeof(value)) * 8 - 8; shift >= 0; shift -= 8) {
    to.push_back(static_cast<char>((static_cast<std::uint64_t>(value) >> static_cast<unsigned>(shift)) & 0xffU));
  }
}
void put_string(std::string& to, const std::string& value) {
  put(to, static_cast<std::int16_t>(value.size()));
  to += value;
}
void put_bytes(std::string& to, const std::string& value) {
  put(to, static_cast<std::int32_t>(value.size()));
  to += value;
}

class Reader {
 public:
  explicit Reader(std::string data) : data_(std::move(data)) {}
  template <class Integer>
  Integer get() {
    need(sizeof(Integer));
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(Integer); ++i) value = value << 8U | static_cast<unsigned char>(data_[at_++]);
    return static_cast<Integer>(value);
  }
  template <class Length>
  std::string piece() {
    const auto size = static_cast<std::size_t>(get<Length>());
    need(size);
    at_ += size;
    return data_.substr(at_ - size, size);
  }

 private:
  void need(std::size_t count) const {
    if (data_.size() - at_ < count) give_up("an answer is too short");
  }
  std::string data_;
  std::size_t at_ = 0;
};

struct Member {
  std::string group;
  std::size_t group_index = 0;
  int fd = -1;
  std::string in;
  std::string id;
  std::string assignment;
  std::int32_t generation = -1;
  bool assigned = false;
  bool last_heartbeat = false;  ///< the one under way was sent when the whole group had its assignment
  std::int16_t asked = 0;       ///< the request that waits for its answer; 0: none
};

class Crowd {
 public:
  Crowd(std::uint16_t port, std::size_t groups, std::size_t members) : groups_(groups), members_(members) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) give_up("epoll_create1");
    for (std::size_t i = 0; i < members; ++i) {
      Member& m = members_[i];
      m.group_index = i * groups / members;
      m.group = fmt::format("group-{}", m.group_index);
      connect(m, port);
      epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
      if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, m.fd, &event) != 0) give_up("epoll_ctl");
    }
  }

  /// Asks for a coordinator until there is one: the topic of offsets is made when it is asked for first.
  void find_coordinator() {
    for (int tries = 0; tries < 100; ++tries) {
      std::string body;
      put_string(body, members_[0].group);
      put(body, std::int8_t{0});
      send(members_[0], find_key, 1, body);
      std::array<char, 1024> room{};
      const ssize_t got = ::recv(members_[0].fd, room.data(), room.size(), 0);
      if (got < 14) give_up("FindCoordinator has no answer");
      members_[0].asked = 0;
      Reader answer(std::string(room.data() + 12, 2));  // size, correlation, throttle, error
      if (answer.get<std::int16_t>() == 0) return;
      ::usleep(100'000);
    }
    give_up("no coordinator");
  }

  /// Seconds until the last member was stable.
  double rebalance(double spread_seconds) {
    const Clock::time_point began = Clock::now();
    for (std::size_t i = 0; i < members_.size(); ++i) {
      const double at = spread_seconds * static_cast<double>(members_[i].group_index) / static_cast<double>(groups_);
      due_.emplace(began + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(at)), i);
      members_[i].assigned = false;
    }
    left_ = members_.size();
    while (left_ > 0) turn();
    check();
    return std::chrono::duration<double>(Clock::now() - began).count();
  }
  [[nodiscard]] std::uint64_t requests() const { return requests_; }

 private:
  static void connect(Member& m, std::uint16_t port) {
    m.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int one = 1;
    if (m.fd < 0 || ::connect(m.fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0 ||
        ::setsockopt(m.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0) {
      give_up(fmt::format("connect: {}", std::strerror(errno)));
    }
  }

  void turn() {
    const Clock::time_point now = Clock::now();
    while (!due_.empty() && due_.begin()->first <= now) {
      const std::size_t i = due_.begin()->second;
      due_.erase(due_.begin());
      if (members_[i].asked != 0) continue;  // its answer says what comes next
      if (members_[i].assigned) {
        send_heartbeat(members_[i]);
      } else {
        send_join(members_[i]);
      }
    }
    int wait_ms = -1;
    if (!due_.empty()) {
      wait_ms = static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(due_.begin()->first - now).count()) + 1;
    }
    std::array<epoll_event, 64> events{};
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms);
    for (int e = 0; e < count; ++e) receive(static_cast<std::size_t>(events[static_cast<std::size_t>(e)].data.u64));
  }

  void receive(std::size_t i) {
    Member& m = members_[i];
    std::array<char, 8192> room{};
    const ssize_t got = ::recv(m.fd, room.data(), room.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) give_up("the broker closed a connection");
    if (got > 0) m.in.append(room.data(), static_cast<std::size_t>(got));
    if (m.in.size() < 4) return;
    const auto size = static_cast<std::size_t>(Reader(m.in.substr(0, 4)).get<std::int32_t>());
    if (m.in.size() < 4 + size) return;
    Reader answer(m.in.substr(4, size));
    m.in.erase(0, 4 + size);
    (void)answer.get<std::int32_t>();  // correlation: one request at a time
    (void)answer.get<std::int32_t>();  // throttle
    switch (std::exchange(m.asked, std::int16_t{0})) {
      case join_key: return on_join(m, answer);
      case sync_key: return on_sync(m, answer);
      case heartbeat_key: return on_heartbeat(m, answer);
      default: give_up("an answer that was not asked for");
    }
  }

  void on_join(Member& m, Reader& answer) {
    const auto error = answer.get<std::int16_t>();
    m.generation = answer.get<std::int32_t>();
    (void)answer.piece<std::int16_t>();
    const std::string leader = answer.piece<std::int16_t>();
    m.id = answer.piece<std::int16_t>();
    if (error != 0) return again(m, error, "JoinGroup");
    std::string body;
    put_string(body, m.group);
    put(body, m.generation);
    put_string(body, m.id);
    const auto members = answer.get<std::int32_t>();
    put(body, leader == m.id ? members : 0);
    for (std::int32_t i = 0; i < members; ++i) {
      const std::string id = answer.piece<std::int16_t>();
      (void)answer.piece<std::int32_t>();
      if (leader != m.id) continue;
      put_string(body, id);
      put_bytes(body, fmt::format("{}:{}", m.generation, m.id));
    }
    send(m, sync_key, 2, body);
  }

  void on_sync(Member& m, Reader& answer) {
    const auto error = answer.get<std::int16_t>();
    if (error != 0) return again(m, error, "SyncGroup");
    m.assignment = answer.piece<std::int32_t>();
    m.assigned = true;
    if (!whole(m)) {
      due_.emplace(Clock::now() + heartbeat_every, index_of(m));
      return;
    }
    for (Member& each : group_of(m)) {
      if (each.asked == 0) send_heartbeat(each);
    }
  }

  void on_heartbeat(Member& m, Reader& answer) {
    const auto error = answer.get<std::int16_t>();
    if (error != 0) {
      if (m.last_heartbeat) give_up(fmt::format("Heartbeat of a stable group: error {}", error));
      m.assigned = false;
      return again(m, error, "Heartbeat");
    }
    if (m.last_heartbeat) {
      --left_;
    } else if (whole(m)) {
      send_heartbeat(m);
    } else {
      due_.emplace(Clock::now() + heartbeat_every, index_of(m));
    }
  }

  void send_heartbeat(Member& m) {
    if (m.asked != 0 || (m.last_heartbeat && whole(m))) return;  // under way, or answered
    m.last_heartbeat = whole(m);
    std::string body;
    put_string(body, m.group);
    put(body, m.generation);
    put_string(body, m.id);
    send(m, heartbeat_key, 2, body);
  }

  [[nodiscard]] std::size_t index_of(const Member& m) const { return static_cast<std::size_t>(&m - members_.data()); }
  [[nodiscard]] std::span<Member> group_of(const Member& m) {
    return std::span(members_).subspan(m.group_index * per_group(), per_group());
  }
  /// Whether every member has an assignment of one generation.
  [[nodiscard]] bool whole(const Member& m) {
    for (const Member& each : group_of(m)) {
      if (!each.assigned || each.generation != m.generation) return false;
    }
    return true;
  }

  void again(Member& m, int error, const char* api) {
    if (!join_again.contains(error)) give_up(fmt::format("{}: error {}", api, error));
    if (error == unknown_member) m.id.clear();
    due_.emplace(Clock::now() + (error == 27 ? Clock::duration{} : Clock::duration{retry_after}), index_of(m));
  }

  void send_join(Member& m) {
    m.last_heartbeat = false;
    std::string body;
    put_string(body, m.group);
    put(body, timeout_ms);
    put(body, timeout_ms);
    put_string(body, m.id);
    put_string(body, "consumer");
    put(body, std::int32_t{1});
    put_string(body, "range");
    put_bytes(body, std::string(60, 'm'));
    send(m, join_key, 3, body);
  }

  void send(Member& m, std::int16_t key, std::int16_t version, const std::string& body) {
    std::string head;
    put(head, key);
    put(head, version);
    put(head, static_cast<std::int32_t>(++requests_));
    put_string(head, "members");
    std::string frame;
    put(frame, static_cast<std::int32_t>(head.size() + body.size()));
    frame += head;
    frame += body;
    if (m.asked != 0) give_up("two requests of one member");
    m.asked = key;
    if (::send(m.fd, frame.data(), frame.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(frame.size())) give_up("send");
  }

  [[nodiscard]] std::size_t per_group() const { return members_.size() / groups_; }

  void check() const {
    std::vector<std::string> of_group(groups_);
    for (const Member& m : members_) {
      if (of_group[m.group_index].empty()) of_group[m.group_index] = m.assignment;
      if (of_group[m.group_index] != m.assignment) give_up("two assignments in use in " + m.group);
      if (!m.assignment.starts_with(fmt::format("{}:", m.generation)))
        give_up("an assignment of another generation in " + m.group);
    }
  }

  std::size_t groups_;
  std::vector<Member> members_;
  std::multimap<Clock::time_point, std::size_t> due_;
  std::size_t left_ = 0;
  std::uint64_t requests_ = 0;
  int epoll_ = -1;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) give_up("usage: weir_members PORT GROUPS MEMBERS");
  const auto groups = static_cast<std::size_t>(std::stoul(argv[2]));
  const auto members = static_cast<std::size_t>(std::stoul(argv[3]));
  if (groups == 0 || members % groups != 0) give_up("MEMBERS must be a multiple of GROUPS");
  Crowd crowd(static_cast<std::uint16_t>(std::stoul(argv[1])), groups, members);
  crowd.find_coordinator();
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    const std::uint64_t before = crowd.requests();
    const double took = crowd.rebalance(std::stod(line));
    std::cout << fmt::format("done {:.3f} {}", took, crowd.requests() - before) << std::endl;
  }
  return 0;
}
