#include "runtime/real_reactor.h"

#include <bit>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
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

int make_timer_descriptor() {
  const int fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  ENSURE(fd >= 0, "timerfd_create: {}", std::strerror(errno));
  return fd;
}

}  // namespace

RealReactor::RealReactor(ShardId shard) : Reactor(shard), timer_descriptor_(io_, make_timer_descriptor()) {
  const ssize_t got = getrandom(random_state_.data(), sizeof(random_state_), 0);
  ENSURE(got == sizeof(random_state_), "getrandom: {}", std::strerror(errno));
}

RealReactor::~RealReactor() = default;

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
  if (sleeping_.exchange(false)) boost::asio::post(io_, [] {});
}

TimerId RealReactor::call_at(base::MonoTime when, Callback callback) { return timers_.add(when, std::move(callback)); }

void RealReactor::cancel_timer(TimerId id) { timers_.remove(id); }

void RealReactor::request_stop() {
  post([this] { stopping_ = true; });
}

void RealReactor::run() {
  const CurrentGuard guard(*this);
  const auto work = boost::asio::make_work_guard(io_);
  if (hook_ != nullptr) hook_->on_start();
  watch_timer();
  while (!stopping_) {
    run_queued();
    run_due_timers();
    take_remote();
    const bool hook_resumed = hook_ != nullptr && hook_->on_turn();
    if (hook_resumed || !queue_.empty()) {
      for (int i = 0; i < polls_per_turn_max && io_.poll_one() > 0; ++i) {}
    } else if (!stopping_) {
      wait_for_io();
    }
  }
  timer_descriptor_.close();
}

void RealReactor::run_queued() {
  for (int batch = 0; batch < batches_per_turn_max && !queue_.empty(); ++batch) {
    std::swap(queue_, running_);
    for (Callback& callback : running_) callback();
    running_.clear();
  }
}

void RealReactor::run_due_timers() {
  if (timers_.empty()) return;
  const base::MonoTime time = now();
  for (int i = 0; i < timers_per_turn_max; ++i) {
    std::optional<Callback> due = timers_.pop_due(time);
    if (!due) return;
    (*due)();
  }
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

void RealReactor::wait_for_io() {
  sleeping_.store(true);
  if (!remote_pending_.load()) {
    arm_timer();
    io_.run_one();
  }
  sleeping_.store(false);
}

// A timerfd left armed for an earlier, cancelled timer is not moved: one idle wake costs less than a system call per deadline.
void RealReactor::arm_timer() {
  if (timers_.empty() || timers_.earliest() >= armed_for_) return;
  armed_for_ = timers_.earliest();
  const std::int64_t at_ns = std::max<std::int64_t>(armed_for_.time_since_epoch().count(), 1);
  itimerspec spec{};
  spec.it_value.tv_sec = at_ns / ns_per_s;
  spec.it_value.tv_nsec = at_ns % ns_per_s;
  const int failed = timerfd_settime(timer_descriptor_.native_handle(), TFD_TIMER_ABSTIME, &spec, nullptr);
  ENSURE(failed == 0, "timerfd_settime: {}", std::strerror(errno));
}

void RealReactor::watch_timer() {
  timer_descriptor_.async_wait(
      boost::asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
        if (error) return;  // closed: the loop is ending
        std::uint64_t expirations = 0;
        const ssize_t got = ::read(timer_descriptor_.native_handle(), &expirations, sizeof(expirations));
        ENSURE(got == sizeof(expirations) || errno == EAGAIN, "read of the timer: {}", std::strerror(errno));
        armed_for_ = base::MonoTime::max();
        watch_timer();
      });
}

}  // namespace weir::runtime
