#include "runtime/loop_crew.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include <fmt/format.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/ensure.h"

namespace weir::runtime {
namespace {

constexpr std::uint64_t restless_period = 64;  ///< turns

double cpu_seconds(clockid_t clock) {
  timespec time{};
  return clock_gettime(clock, &time) == 0 ? static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9 : 0;
}

}  // namespace

LoopCrew::LoopCrew(std::vector<RealReactor*> reactors, Folding folding, LatencyHistogram* away)
    : reactors_(std::move(reactors)), folding_(folding), away_(away) {
  if (reactors_.size() < 2) folding_ = Folding::never;
  if (folding_ == Folding::never) return;
  all_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  ENSURE(all_fd_ >= 0, "epoll_create1: {}", std::strerror(errno));
  for (std::size_t i = 0; i < reactors_.size(); ++i) {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};  // level: a reactor that was not emptied is told again
    ENSURE(::epoll_ctl(all_fd_, EPOLL_CTL_ADD, reactors_[i]->poll_descriptor(), &event) == 0, "epoll_ctl: {}",
           std::strerror(errno));
  }
}

LoopCrew::~LoopCrew() {
  ENSURE(threads_.empty(), "a crew was destroyed while it runs");
  if (all_fd_ >= 0) ::close(all_fd_);
}

void LoopCrew::run() {
  const std::lock_guard lock(mutex_);  // thread 0 looks at the clocks of all
  for (std::size_t i = 0; i < reactors_.size(); ++i) {
    threads_.emplace_back([this, i] { drive_own(i); });
    pthread_setname_np(threads_.back().native_handle(), fmt::format("weir-shard{}", i).c_str());
    clockid_t clock{};
    ENSURE(pthread_getcpuclockid(threads_.back().native_handle(), &clock) == 0, "pthread_getcpuclockid");
    clocks_.push_back(clock);
  }
}

void LoopCrew::stop() {
  for (RealReactor* reactor : reactors_) reactor->request_stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void LoopCrew::drive_own(std::size_t index) {
  { const std::lock_guard started(mutex_); }
  RealReactor& reactor = *reactors_[index];
  reactor.begin();
  if (index == 0) look_anew();
  AwayClock away(away_);
  int turns_without_poll = 0;
  while (!reactor.stopping()) {
    const bool more = reactor.turn();
    if (reactor.stopping()) break;
    if (folding_ != Folding::never) {
      // Others drove the reactor, or it was driven with others: what the turn said is out of date.
      if (index == 0 && consider_fold(away)) continue;
      if (index != 0 && wanted_.load()) {
        hand_over();
        away = AwayClock(away_);  // the time in which another thread drove the reactor is that one's
        continue;
      }
    }
    if (!more && reactor.prepare_sleep()) {
      reactor.poll(reactor.has_steps() ? 0 : -1, away);
      turns_without_poll = 0;
      continue;
    }
    if (!more) reactor.awake();  // something was posted meanwhile
    if (++turns_without_poll >= turns_without_poll_max) {
      reactor.poll(0, away);
      turns_without_poll = 0;
    }
  }
  if (index != 0) return;
  over_.store(true);
  unfold();
}

void LoopCrew::hand_over() {
  std::unique_lock lock(mutex_);
  if (!wanted_.load()) return;
  if (parked_.fetch_add(1) + 1 == reactors_.size() - 1) reactors_[0]->post([] {});  // it waits for the last one
  unfolded_.wait(lock, [this] { return !wanted_.load(); });
}

bool LoopCrew::consider_fold(AwayClock& away) {
  if (over_.load(std::memory_order_relaxed)) return false;
  if (wanted_.load(std::memory_order_relaxed)) {
    if (parked_.load() != reactors_.size() - 1) return false;
    drive_all(away);
    return true;
  }
  const base::MonoTime now = reactors_[0]->now();
  if (folding_ == Folding::restless) {
    if (++restless_turns_ % restless_period != 0) return false;
  } else {
    if (now < looked_at_ + fold_look || now < no_fold_before_) return false;
    const double cpu = cpu_seconds_of_loops();
    const double used = (cpu - cpu_looked_) / std::chrono::duration<double>(now - looked_at_).count();
    looked_at_ = now;
    cpu_looked_ = cpu;
    if (used > fold_below) return false;
  }
  wanted_.store(true);
  for (std::size_t i = 1; i < reactors_.size(); ++i) reactors_[i]->post([] {});
  return false;
}

void LoopCrew::drive_all(AwayClock& away) {
  { const std::lock_guard handed_over(mutex_); }  // all that the others did with their reactors is seen from here on
  folds_.fetch_add(1, std::memory_order_relaxed);
  look_anew();
  std::array<epoll_event, 64> ready{};
  int turns_without_poll = 0;
  base::MonoTime now = reactors_[0]->now();  // of the last look
  while (true) {
    bool more = false;
    bool stopping = false;
    for (RealReactor* reactor : reactors_) {
      more = reactor->turn() || more;
      stopping = stopping || reactor->stopping();
    }
    if (stopping) over_.store(true);
    if (stopping || too_busy(now)) break;
    for (RealReactor* reactor : reactors_) more = more || reactor->posted();
    int timeout_ms = 0;
    if (!more) {
      timeout_ms = -1;
      for (RealReactor* reactor : reactors_) {
        if (!reactor->prepare_sleep() || reactor->has_steps()) timeout_ms = 0;
      }
    } else if (++turns_without_poll < turns_without_poll_max) {
      continue;
    }
    turns_without_poll = 0;
    away.looks(reactors_[0]->now());
    const int count = ::epoll_wait(all_fd_, ready.data(), static_cast<int>(ready.size()), timeout_ms);
    ENSURE(count >= 0 || errno == EINTR, "epoll_wait: {}", std::strerror(errno));
    now = reactors_[0]->now();
    away.looked(now);
    for (RealReactor* reactor : reactors_) {
      reactor->awake();
      reactor->looked(now);
    }
    for (int i = 0; i < count; ++i) reactors_[ready[static_cast<std::size_t>(i)].data.u64]->poll_ready();
  }
  unfold();
}

bool LoopCrew::too_busy(base::MonoTime now) {
  if (folding_ == Folding::restless) return ++restless_turns_ % restless_period == 0;
  if (now < looked_at_ + unfold_look) return false;
  const double cpu = cpu_seconds(clocks_[0]);
  const double used = (cpu - cpu_looked_) / std::chrono::duration<double>(now - looked_at_).count();
  looked_at_ = now;
  cpu_looked_ = cpu;
  return used > unfold_above;
}

void LoopCrew::unfold() {
  {
    const std::lock_guard lock(mutex_);
    wanted_.store(false);
    parked_.store(0);
  }
  unfolded_.notify_all();
  no_fold_before_ = reactors_[0]->now() + refold_after;
  look_anew();
}

double LoopCrew::cpu_seconds_of_loops() const {
  double sum = 0;
  for (const clockid_t clock : clocks_) sum += cpu_seconds(clock);
  return sum;
}

// Folded, only thread 0 works: what the others used before does not count.
void LoopCrew::look_anew() {
  looked_at_ = reactors_[0]->now();
  cpu_looked_ = wanted_.load() ? cpu_seconds(clocks_[0]) : cpu_seconds_of_loops();
}

}  // namespace weir::runtime
