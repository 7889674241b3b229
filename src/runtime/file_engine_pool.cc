#include <cerrno>

#include <unistd.h>

#include "base/ensure.h"
#include "runtime/file_engine.h"

namespace weir::runtime {
namespace {

int run_request(const IoRequest& request) {
  const int count = static_cast<int>(request.piece_count);
  const auto offset = static_cast<off_t>(request.offset);
  ssize_t result = 0;
  switch (request.verb) {
    case IoVerb::read: result = ::preadv2(request.fd, request.pieces, count, offset, 0); break;
    case IoVerb::write: result = ::pwritev2(request.fd, request.pieces, count, offset, 0); break;
    case IoVerb::write_synced: result = ::pwritev2(request.fd, request.pieces, count, offset, RWF_DSYNC); break;
    case IoVerb::data_sync: result = ::fdatasync(request.fd); break;
  }
  return result < 0 ? -errno : static_cast<int>(result);
}

class PoolEngine final : public FileEngine {
 public:
  explicit PoolEngine(BlockingPool& pool) : pool_(pool) {}
  void submit(IoRequest& request) override {
    pool_.submit(
        Reactor::current(), [at = &request] { at->result = run_request(*at); }, [at = &request] { at->waiter.resume(); });
  }

 private:
  BlockingPool& pool_;
};

}  // namespace

std::unique_ptr<FileEngine> make_pool_engine(BlockingPool& pool) { return std::make_unique<PoolEngine>(pool); }

}  // namespace weir::runtime
