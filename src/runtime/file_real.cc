#include "runtime/file_real.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ensure.h"
#include "runtime/errno_error.h"
#include "runtime/piece_cursor.h"

namespace weir::runtime {
namespace {

using base::ErrorKind;
using base::Result;

bool is_aligned(std::uint64_t value) { return value % bytes::io_alignment_bytes == 0; }
bool is_aligned(bytes::Bytes memory) {
  return is_aligned(reinterpret_cast<std::uintptr_t>(memory.data())) && is_aligned(memory.size());
}

class RealFile final : public File {
 public:
  RealFile(int fd, std::string path, bool direct, FileEngine& engine, BlockingPool& pool)
      : fd_(fd), path_(std::move(path)), direct_(direct), engine_(engine), pool_(pool) {}
  ~RealFile() override {
    ENSURE(pending_count_ == 0, "{} was destroyed with {} operations pending", path_, pending_count_);
    if (fd_ >= 0) ::close(fd_);
  }

  Task<Result<std::size_t>> read_at(std::uint64_t offset, bytes::MutableBytes into) override {
    const Use use(*this);
    if (direct_) ENSURE(is_aligned(offset) && is_aligned(into), "unaligned direct read of {} at {}", path_, offset);
    std::size_t done = 0;
    int repeats = 0;
    while (done < into.size()) {
      const iovec piece{.iov_base = into.data() + done, .iov_len = std::min(into.size() - done, bytes_per_call_max)};
      IoRequest request{.verb = IoVerb::read, .fd = fd_, .pieces = &piece, .piece_count = 1, .offset = offset + done};
      co_await IoAwaiter{&engine_, &request};
      if (may_repeat(request.result) && ++repeats <= io_repeats_max) continue;
      if (request.result < 0) co_return errno_fail(-request.result, describe("read", offset + done));
      done += static_cast<std::size_t>(request.result);
      // A direct read that stops inside a block has met the end; asking on from there would be refused as unaligned.
      if (request.result == 0 || (direct_ && !is_aligned(done))) break;
    }
    co_return done;
  }

  Task<Result<void>> write_at(std::uint64_t offset, std::vector<bytes::Bytes> from, Durability durability) override {
    const Use use(*this);
    if (direct_) {
      ENSURE(is_aligned(offset), "unaligned direct write of {} at {}", path_, offset);
      for (const bytes::Bytes piece : from) ENSURE(is_aligned(piece), "unaligned memory for a direct write of {}", path_);
    }
    PieceCursor cursor(std::move(from));
    std::array<iovec, pieces_per_call_max> pieces;
    const IoVerb verb = durability == Durability::synced ? IoVerb::write_synced : IoVerb::write;
    int repeats = 0;
    while (cursor.left_bytes() > 0) {
      IoRequest request{.verb = verb, .fd = fd_, .pieces = pieces.data(), .piece_count = cursor.fill(pieces), .offset = offset};
      co_await IoAwaiter{&engine_, &request};
      if (may_repeat(request.result) && ++repeats <= io_repeats_max) continue;
      if (request.result < 0) co_return errno_fail(-request.result, describe("write", offset));
      std::size_t written = static_cast<std::size_t>(request.result);
      if (direct_) written -= written % bytes::io_alignment_bytes;  // a torn block is written again, with the same bytes
      if (written == 0 && ++repeats > io_repeats_max) {
        co_return base::fail(ErrorKind::io, describe("write", offset) + ": the device takes nothing");
      }
      cursor.advance(written);
      offset += written;
    }
    co_return Result<void>{};
  }

  Task<Result<void>> sync() override {
    const Use use(*this);
    IoRequest request{.verb = IoVerb::data_sync, .fd = fd_};
    co_await IoAwaiter{&engine_, &request};
    if (request.result < 0) {
      // Whatever errno says: the kernel may have dropped the dirty pages, so the outcome of earlier writes is uncertain.
      co_return base::fail(ErrorKind::io, errno_error(-request.result, "fdatasync " + path_).text);
    }
    co_return Result<void>{};
  }

  Task<Result<std::uint64_t>> size() override {
    const Use use(*this);
    co_return co_await pool_.run([this]() -> Result<std::uint64_t> {
      struct stat info{};
      if (::fstat(fd_, &info) != 0) return errno_fail(errno, "fstat " + path_);
      return static_cast<std::uint64_t>(info.st_size);
    });
  }

  Task<Result<void>> truncate(std::uint64_t size_bytes) override {
    const Use use(*this);
    co_return co_await pool_.run([this, size_bytes]() -> Result<void> {
      if (::ftruncate(fd_, static_cast<off_t>(size_bytes)) != 0) return errno_fail(errno, "ftruncate " + path_);
      return {};
    });
  }

  Task<Result<bool>> try_lock() override {
    const Use use(*this);
    co_return co_await pool_.run([this]() -> Result<bool> {
      if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return true;
      if (errno == EWOULDBLOCK) return false;
      return errno_fail(errno, "flock " + path_);
    });
  }

  Task<void> close() override {
    ENSURE(pending_count_ == 0, "{} was closed with {} operations pending", path_, pending_count_);
    if (fd_ < 0) co_return;
    // On the pool: closing may flush (NFS). An error here says nothing new: what had to be durable was synced.
    co_await pool_.run([fd = std::exchange(fd_, -1)] { ::close(fd); });
  }

 private:
  struct Use {
    explicit Use(RealFile& file) : file_(file) {
      ENSURE(file_.fd_ >= 0, "{} is used after close", file_.path_);
      ++file_.pending_count_;
    }
    ~Use() { --file_.pending_count_; }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    RealFile& file_;
  };
  static bool may_repeat(int result) { return result == -EINTR || result == -EAGAIN; }
  [[nodiscard]] std::string describe(std::string_view verb, std::uint64_t offset) const {
    return fmt::format("{} {} at {}", verb, path_, offset);
  }

  int fd_;
  std::string path_;
  bool direct_;
  FileEngine& engine_;
  BlockingPool& pool_;
  std::size_t pending_count_ = 0;
};

}  // namespace

std::unique_ptr<File> make_real_file(int fd, std::string path, bool direct, FileEngine& engine, BlockingPool& pool) {
  return std::make_unique<RealFile>(fd, std::move(path), direct, engine, pool);
}

}  // namespace weir::runtime
