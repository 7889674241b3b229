// runtime/file_engine.h: the two ways to run one read, write or sync: io_uring of the shard, or a thread pool.
// Why:        io_uring costs about 3 us less per device write than a hand-over to a thread; Docker's default profile forbids it.
//             Everything that decides (short writes, ends of files, what an error means) is in file_real.cc, once for both.
// Place:      internal to runtime.
// Contract:   the request and the memory it names live until the waiter is resumed. submit() is called on the home reactor.
#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>

#include <sys/uio.h>

#include "base/result.h"
#include "runtime/blocking.h"
#include "runtime/reactor.h"

namespace weir::runtime {

class RealReactor;

enum class IoVerb : std::uint8_t { read, write, write_synced, data_sync };

/// One system call's worth of work; lives in the frame of the coroutine that waits for it.
struct IoRequest {
  IoVerb verb = IoVerb::read;
  int fd = -1;
  const iovec* pieces = nullptr;
  unsigned piece_count = 0;
  std::uint64_t offset = 0;
  int result = 0;  ///< bytes, or -errno
  std::coroutine_handle<> waiter;
  IoRequest* next = nullptr;  ///< the engine's queue
};

class FileEngine {
 public:
  virtual ~FileEngine() = default;
  virtual void submit(IoRequest& request) = 0;
};

/// preadv2/pwritev2/fdatasync on a pool; serves all shards.
std::unique_ptr<FileEngine> make_pool_engine(BlockingPool& pool);
/// A ring for this reactor, hooked into its turns; before the reactor runs. retry: the kernel or a profile forbids io_uring.
/// one_thread: the reactor is driven by its own thread only, which the kernel then makes use of.
base::Result<std::unique_ptr<FileEngine>> make_uring_engine(RealReactor& reactor, bool one_thread);

struct IoAwaiter {
  FileEngine* engine;
  IoRequest* request;
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) const {
    request->waiter = waiter;
    engine->submit(*request);
  }
  void await_resume() const noexcept {}
};

}  // namespace weir::runtime
