// The io_uring engine: one ring per reactor. Requests of a turn go to the kernel in one call at the turn's end; completions are
// reaped at the next turn, or wake the reactor through its eventfd.
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <liburing.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/ensure.h"
#include "runtime/errno_error.h"
#include "runtime/file_engine.h"
#include "runtime/real_reactor.h"

namespace weir::runtime {
namespace {

constexpr unsigned ring_entries = 256;
constexpr unsigned ring_completions = 1024;
// Never more in flight than the completion queue holds: an overflow would cost a system call per completion.
constexpr unsigned ring_in_flight_max = ring_completions;
constexpr unsigned reaps_per_turn_max = 256;

class UringEngine final : public FileEngine, public TurnHook {
 public:
  explicit UringEngine(RealReactor& reactor) : wake_fd_(reactor.wake_descriptor()) {}
  ~UringEngine() override {
    if (!ring_made_) return;
    ENSURE(in_flight_count_ == 0 && first_ == nullptr, "the ring ends with {} file operations pending", in_flight_count_);
    io_uring_queue_exit(&ring_);
  }

  // Tries the cheapest completion mode first; older kernels lack it, and a ring that several threads drive in turn may not have it.
  // Rings begin disabled: the reactor's thread enables its own, which makes it the single issuer, and a refusal is known here,
  // before anything depends on the ring.
  base::Result<void> init(bool one_thread) {
    int failed = -EINVAL;
    for (const unsigned mode : {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
                                IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, 0U}) {
      if (!one_thread && (mode & IORING_SETUP_SINGLE_ISSUER) != 0) continue;
      io_uring_params params{};
      params.flags = mode | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED;
      params.cq_entries = ring_completions;
      failed = io_uring_queue_init_params(ring_entries, &ring_, &params);
      if (failed != -EINVAL) break;
    }
    if (failed != 0) return errno_fail(-failed, "io_uring_queue_init");
    ring_made_ = true;
    failed = io_uring_register_eventfd(&ring_, wake_fd_);
    if (failed != 0) return errno_fail(-failed, "io_uring_register_eventfd");
    return {};
  }

  void on_start() override {
    // The system call itself: liburing 2.3 declares a function for it and does not export it.
    const long failed = ::syscall(__NR_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    ENSURE(failed == 0, "enabling the ring: {}", std::strerror(errno));
  }

  void submit(IoRequest& request) override {
    request.next = nullptr;
    *(first_ == nullptr ? &first_ : &last_->next) = &request;
    last_ = &request;
  }

  // True: come back before blocking (somebody was resumed, or the kernel took less than was offered).
  bool on_turn() override {
    if (first_ == nullptr && in_flight_count_ == 0) return false;
    bool again = false;
    while (first_ != nullptr && in_flight_count_ < ring_in_flight_max && !again) {
      fill();
      const int submitted = io_uring_submit_and_get_events(&ring_);
      ENSURE(submitted >= 0 || submitted == -EAGAIN || submitted == -EBUSY || submitted == -EINTR, "io_uring_enter: {}",
             std::strerror(-submitted));
      again = io_uring_sq_ready(&ring_) > 0;
    }
    if (io_uring_sq_ready(&ring_) > 0 && !again) again = io_uring_submit_and_get_events(&ring_) < 0;
    return reap() || again;
  }

 private:
  void fill() {
    while (first_ != nullptr && in_flight_count_ < ring_in_flight_max) {
      io_uring_sqe* entry = io_uring_get_sqe(&ring_);
      if (entry == nullptr) return;  // the ring is full: the rest follows after this submission
      IoRequest& request = *first_;
      first_ = request.next;
      prepare(*entry, request);
      ++in_flight_count_;
    }
  }

  static void prepare(io_uring_sqe& entry, IoRequest& request) {
    switch (request.verb) {
      case IoVerb::read: io_uring_prep_readv(&entry, request.fd, request.pieces, request.piece_count, request.offset); break;
      case IoVerb::write: io_uring_prep_writev(&entry, request.fd, request.pieces, request.piece_count, request.offset); break;
      case IoVerb::write_synced:
        io_uring_prep_writev2(&entry, request.fd, request.pieces, request.piece_count, request.offset, RWF_DSYNC);
        break;
      case IoVerb::data_sync: io_uring_prep_fsync(&entry, request.fd, IORING_FSYNC_DATASYNC); break;
    }
    io_uring_sqe_set_data(&entry, &request);
  }

  // Peeking also runs the kernel's deferred completion work when the ring's flags announce some. Takes all entries out before resuming anybody: what is resumed submits again.
  bool reap() {
    std::array<io_uring_cqe*, reaps_per_turn_max> entries{};
    std::array<IoRequest*, reaps_per_turn_max> done{};
    const unsigned count = io_uring_peek_batch_cqe(&ring_, entries.data(), entries.size());
    for (unsigned i = 0; i < count; ++i) {
      done[i] = static_cast<IoRequest*>(io_uring_cqe_get_data(entries[i]));
      done[i]->result = entries[i]->res;
    }
    io_uring_cq_advance(&ring_, count);
    in_flight_count_ -= count;
    for (unsigned i = 0; i < count; ++i) done[i]->waiter.resume();
    return count > 0;
  }

  int wake_fd_;  ///< only wakes the reactor: every turn goes through on_turn(), which reaps
  io_uring ring_{};
  bool ring_made_ = false;
  IoRequest* first_ = nullptr;
  IoRequest* last_ = nullptr;
  unsigned in_flight_count_ = 0;
};

}  // namespace

base::Result<std::unique_ptr<FileEngine>> make_uring_engine(RealReactor& reactor, bool one_thread) {
  auto engine = std::make_unique<UringEngine>(reactor);
  WEIR_TRY(engine->init(one_thread));
  reactor.set_turn_hook(engine.get());
  return engine;
}

}  // namespace weir::runtime
