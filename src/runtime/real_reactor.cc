#include "runtime/real_reactor.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/ensure.h"

namespace weir::runtime {
namespace {

constexpr std::int64_t ns_per_s = 1'000'000'000;

std::int64_t read_clock_ns(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::int64_t>(time.tv_sec) * ns_per_s + time.tv_nsec;
}

int made(int fd, const char* what) {
  ENSURE(fd >= 0, "{}: {}", what, std::strerror(errno));
  return fd;
}

}  // namespace

RealReactor::RealReactor(ShardId shard)
    : Reactor(shard),
      first_{.fd = made(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")},
      background_{.fd = made(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")},
      wake_fd_(made(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd")),
      timer_fd_(made(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd_create")) {
  const ssize_t got = getrandom(random_state_.data(), sizeof(random_state_), 0);
  ENSURE(got == sizeof(random_state_), "getrandom: {}", std::strerror(errno));
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};  // a wake needs no action: the turn is the action
  ENSURE(::epoll_ctl(first_.fd, EPOLL_CTL_ADD, wake_fd_, &event) == 0, "epoll_ctl: {}", std::strerror(errno));
  epoll_event background{
      .events = EPOLLIN,
      .data = {.ptr = static_cast<PollTarget*>(&background_target_)}};  // by level: what was left is told again
  ENSURE(::epoll_ctl(first_.fd, EPOLL_CTL_ADD, background_.fd, &background) == 0, "epoll_ctl: {}", std::strerror(errno));
  ENSURE(watch(timer_fd_, EPOLLIN, timer_target_), "epoll_ctl: {}", std::strerror(errno));
}

// What was still queued goes first: it may hold sockets, which leave the epoll set.
RealReactor::~RealReactor() {
  queue_.clear();
  steps_.clear();
  remote_.clear();
  for (const int fd : {first_.fd, background_.fd, wake_fd_, timer_fd_}) ::close(fd);
}

// Not cached: the WAL's gate compares it with a deadline *after* a completion, and a value from the turn's beginning would lie.
base::MonoTime RealReactor::now() const { return base::MonoTime(base::Duration(read_clock_ns(CLOCK_BOOTTIME))); }

base::WallMs RealReactor::wall_now_ms() const { return read_clock_ns(CLOCK_REALTIME) / 1'000'000; }

// xoshiro256**: Blackman and Vigna's public-domain generator; not for keys (those come from OpenSSL).
std::uint64_t RealReactor::random() {
  auto& s = random_state_;
  const std::uint64_t result = std::rotl(s[1] * 5, 7) * 9;
  const std::uint64_t t = s[1] << 17U;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = std::rotl(s[3], 45);
  return result;
}

void RealReactor::post(Callback callback) {
  if (current_or_null() == this) {
    queue_.push_back(std::move(callback));
    return;
  }
  {
    const std::lock_guard lock(remote_mutex_);
    remote_.push_back(std::move(callback));
    remote_pending_.store(true);
  }
  if (sleeping_.exchange(false)) {
    const std::uint64_t one = 1;
    const ssize_t written = ::write(wake_fd_, &one, sizeof(one));
    ENSURE(written == sizeof(one), "write to a reactor's eventfd: {}", std::strerror(errno));
  }
}

TimerId RealReactor::call_at(base::MonoTime when, Callback callback) { return timers_.add(when, std::move(callback)); }

void RealReactor::cancel_timer(TimerId id) { timers_.remove(id); }

void RealReactor::request_stop() {
  post([this] { stopping_ = true; });
}

bool RealReactor::watch(int fd, std::uint32_t events, PollTarget& target, Rank rank) {
  epoll_event event{.events = events | EPOLLET, .data = {.ptr = &target}};
  return ::epoll_ctl(rank == Rank::first ? first_.fd : background_.fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

void RealReactor::unwatch(int fd, const PollTarget& target, Rank rank) {
  PollSet& set = rank == Rank::first ? first_ : background_;
  const int failed = ::epoll_ctl(set.fd, EPOLL_CTL_DEL, fd, nullptr);
  ENSURE(failed == 0, "epoll_ctl: {}", std::strerror(errno));
  set.forget(target);
}

int RealReactor::PollSet::wait(int events_max, int timeout_ms) {
  count = ::epoll_wait(fd, events.data(), events_max, timeout_ms);
  ENSURE(count >= 0 || errno == EINTR, "epoll_wait: {}", std::strerror(errno));
  index = 0;
  return count;
}

void RealReactor::PollSet::deliver() {
  while (index < count) {
    const epoll_event event = events[static_cast<std::size_t>(index++)];
    if (event.data.ptr != nullptr) static_cast<PollTarget*>(event.data.ptr)->on_events(event.events);
  }
}

void RealReactor::PollSet::forget(const PollTarget& target) {
  for (int i = index; i < count; ++i) {
    epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.ptr == &target) event.data.ptr = nullptr;
  }
}

void RealReactor::begin() {
  if (hook_ != nullptr) hook_->on_start();
}

bool RealReactor::turn() {
  const CurrentGuard guard(*this);
  take_remote();
  run_queued();
  run_due_timers();
  run_steps();
  const bool hook_resumed = hook_ != nullptr && hook_->on_turn();
  return hook_resumed || !queue_.empty();
}

void RealReactor::run_queued() {
  for (int batch = 0; batch < batches_per_turn_max && !queue_.empty(); ++batch) {
    std::swap(queue_, running_);
    for (Callback& callback : running_) callback();
    running_.clear();
  }
}

void RealReactor::run_due_timers() {
  if (timers_.empty() || timers_.earliest() > looked_at_ + timer_horizon) return;
  const base::MonoTime time = now();
  for (int i = 0; i < timers_per_turn_max; ++i) {
    std::optional<Callback> due = timers_.pop_due(time);
    if (!due) return;
    (*due)();
  }
}

void RealReactor::looked(base::MonoTime at) {
  may_step_ = true;
  stepping_ = !steps_.empty();
  looked_at_ = at;
}

// The sockets are looked at before there are more.
void RealReactor::run_steps() {
  if (!may_step_ || steps_.empty()) return;
  may_step_ = false;
  const base::MonoTime begin = now();
  const base::Duration others = std::exchange(stepping_, false) ? begin - looked_at_ : base::Duration{};
  const base::MonoTime end = begin + std::max(step_time, others / step_time_share);
  do {
    Callback step = std::move(steps_.front());
    steps_.pop_front();
    step();
  } while (!steps_.empty() && now() < end);
}

void RealReactor::take_remote() {
  if (!remote_pending_.load()) return;
  const std::lock_guard lock(remote_mutex_);
  remote_pending_.store(false);
  if (queue_.empty()) {
    std::swap(queue_, remote_);
    return;
  }
  for (Callback& callback : remote_) queue_.push_back(std::move(callback));
  remote_.clear();
}

bool RealReactor::prepare_sleep() {
  sleeping_.store(true);
  if (remote_pending_.load()) return false;
  arm_timer();
  return true;
}

void RealReactor::poll(int timeout_ms, AwayClock& away) {
  const CurrentGuard guard(*this);
  away.looks(now());
  first_.wait(events_per_poll_max, timeout_ms);
  const base::MonoTime at = now();
  away.looked(at);
  looked(at);
  sleeping_.store(false);  // before anything is delivered: what is posted meanwhile needs no wake
  deliver();
}

void RealReactor::poll_ready() {
  const CurrentGuard guard(*this);
  first_.wait(events_per_poll_max, 0);
  deliver();
}

void RealReactor::deliver() {
  const int count = first_.count;
  first_.deliver();
  if (!std::exchange(background_ready_, false)) return;
  background_.wait(std::min(background_events_per_poll + count / 2, events_per_poll_max), 0);
  background_.deliver();
}

// A timerfd left armed for an earlier, cancelled timer is not moved: one idle wake costs less than a system call per deadline.
void RealReactor::arm_timer() {
  if (timers_.empty() || timers_.earliest() >= armed_for_) return;
  armed_for_ = timers_.earliest();
  const std::int64_t at_ns = std::max<std::int64_t>(armed_for_.time_since_epoch().count(), 1);
  itimerspec spec{};
  spec.it_value.tv_sec = at_ns / ns_per_s;
  spec.it_value.tv_nsec = at_ns % ns_per_s;
  const int failed = timerfd_settime(timer_fd_, TFD_TIMER_ABSTIME, &spec, nullptr);
  ENSURE(failed == 0, "timerfd_settime: {}", std::strerror(errno));
}

}  // namespace weir::runtime
