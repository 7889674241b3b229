#include "runtime/real.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "base/ensure.h"
#include "runtime/file_real.h"
#include "runtime/loop_crew.h"
#include "runtime/metric_registry.h"
#include "runtime/metrics_decl.h"
#include "runtime/net_real.h"
#include "runtime/real_blocking.h"
#include "runtime/real_reactor.h"

namespace weir::runtime {
namespace {

constexpr std::uint32_t shards_max = 256;

std::atomic<int> signal_pipe_end{-1};  // the only thing that a signal handler may look at

/// From its construction on SIGTERM and SIGINT arrive as callbacks on one reactor; made and ended while no other exists.
class SignalPipe final : public PollTarget {
 public:
  explicit SignalPipe(std::move_only_function<void(int)> callback) : callback_(std::move(callback)) {
    ENSURE(::pipe2(ends_.data(), O_NONBLOCK | O_CLOEXEC) == 0, "pipe2: {}", std::strerror(errno));
    ENSURE(signal_pipe_end.exchange(ends_[1]) == -1, "signals are handled twice in one process");
    for (const int number : signals) {
      struct sigaction action{};
      action.sa_handler = [](int signal_number) {
        const int saved = errno;
        const auto byte = static_cast<unsigned char>(signal_number);
        // A full pipe holds signals enough.
        [[maybe_unused]] const ssize_t written = ::write(signal_pipe_end.load(), &byte, 1);
        errno = saved;
      };
      action.sa_flags = SA_RESTART;
      ::sigaction(number, &action, &before_[static_cast<std::size_t>(number == SIGINT)]);
    }
  }
  ~SignalPipe() {
    for (const int number : signals) ::sigaction(number, &before_[static_cast<std::size_t>(number == SIGINT)], nullptr);
    signal_pipe_end.store(-1);
    for (const int fd : ends_) ::close(fd);
  }
  SignalPipe(const SignalPipe&) = delete;
  SignalPipe& operator=(const SignalPipe&) = delete;

  void watch(RealReactor& reactor) { ENSURE(reactor.watch(ends_[0], EPOLLIN, *this), "epoll_ctl: {}", std::strerror(errno)); }

 private:
  static constexpr std::array<int, 2> signals = {SIGTERM, SIGINT};
  void on_events(std::uint32_t /*events*/) override {
    unsigned char number = 0;
    while (::read(ends_[0], &number, 1) == 1) callback_(number);
  }
  std::move_only_function<void(int)> callback_;
  std::array<int, 2> ends_{-1, -1};
  std::array<struct sigaction, 2> before_{};
};

class RealRuntimeImpl final : public RealRuntime {
 public:
  explicit RealRuntimeImpl(RealOptions options) : log_(options.log), blocking_("block", options.blocking_thread_count) {
    ENSURE(options.shard_count > 0 && options.shard_count <= shards_max, "{} shards", options.shard_count);
    for (std::uint32_t i = 0; i < options.shard_count; ++i) reactors_.push_back(std::make_unique<RealReactor>(ShardId(i)));
  }

  // The order of ending: loops first (nobody submits any more), then the pools, then what they might still post to.
  ~RealRuntimeImpl() override {
    if (crew_) crew_->stop();
  }

  base::Result<void> start(const RealOptions& options) {
    WEIR_TRY(make_engines(options));
    std::vector<FileEngine*> engine_of_shard;
    for (std::size_t i = 0; i < reactors_.size(); ++i) engine_of_shard.push_back(engines_[i % engines_.size()].get());
    files_ = std::make_unique<RealFileSystem>(std::move(engine_of_shard), blocking_, log_);
    for (auto& reactor : reactors_) doors_.shards.push_back(reactor.get());
    doors_.files = files_.get();
    doors_.network = &network_;
    doors_.blocking = &blocking_;
    doors_.log = &log_;
    doors_.metrics = &metrics_;
    std::vector<RealReactor*> driven;
    for (auto& reactor : reactors_) driven.push_back(reactor.get());
    crew_.emplace(std::move(driven), options.folding, &metrics_.histogram(loop_away_seconds, {}));
    crew_->run();
    return {};
  }

  Runtime& doors() override { return doors_; }
  [[nodiscard]] FileBackend file_backend() const override { return backend_; }

  void on_terminate(std::move_only_function<void(int)> callback) override {
    ENSURE(!signals_, "on_terminate is called twice");
    signals_.emplace(std::move(callback));
    reactors_.front()->post([this] { signals_->watch(*reactors_.front()); });
  }

 private:
  base::Result<void> make_engines(const RealOptions& options) {
    backend_ = FileBackend::pwritev2;
    if (options.file_backend != FileBackend::pwritev2) {
      auto made = make_rings(options.folding == Folding::never || reactors_.size() == 1);
      if (made) {
        backend_ = FileBackend::uring;
        return {};
      }
      if (options.file_backend == FileBackend::uring) return base::fail(base::ErrorKind::invalid, made.error().text);
      log_.info("runtime", "io_uring is not available, files go through a thread pool", {{"reason", made.error().text}});
    }
    file_pool_.emplace("file", options.file_thread_count);
    engines_.push_back(make_pool_engine(*file_pool_));
    return {};
  }

  // All or none: with a ring on some shards only, the same file would behave differently by where it was opened.
  base::Result<void> make_rings(bool one_thread_each) {
    std::vector<std::unique_ptr<FileEngine>> rings;
    for (auto& reactor : reactors_) {
      auto ring = make_uring_engine(*reactor, one_thread_each);
      if (!ring) {
        for (auto& other : reactors_) other->set_turn_hook(nullptr);
        return std::unexpected(ring.error());
      }
      rings.push_back(std::move(*ring));
    }
    engines_ = std::move(rings);
    return {};
  }

  TextLogger log_;
  MetricRegistry metrics_;
  std::vector<std::unique_ptr<RealReactor>> reactors_;
  std::optional<SignalPipe> signals_;
  RealBlockingPool blocking_;
  RealNetwork network_{blocking_};
  std::optional<RealBlockingPool> file_pool_;
  std::vector<std::unique_ptr<FileEngine>> engines_;
  FileBackend backend_ = FileBackend::pwritev2;
  std::unique_ptr<RealFileSystem> files_;
  Runtime doors_;
  std::optional<LoopCrew> crew_;
};

}  // namespace

base::Result<std::unique_ptr<RealRuntime>> make_real_runtime(RealOptions options) {
  auto runtime = std::make_unique<RealRuntimeImpl>(options);
  WEIR_TRY(runtime->start(options));
  return runtime;
}

}  // namespace weir::runtime
