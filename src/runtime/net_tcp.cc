#include <array>
#include <cerrno>
#include <utility>

#include <sys/socket.h>

#include "base/ensure.h"
#include "runtime/errno_error.h"
#include "runtime/piece_cursor.h"
#include "runtime/socket.h"
#include "runtime/stream_move.h"
#include "runtime/sync.h"

namespace weir::runtime {
namespace {

using base::Result;

// A connection that always has bytes ready lets the others run after this many reads.
constexpr int reads_without_yield_max = 16;
// And so does a long answer after so many bytes: the kernel's copying of a megabyte takes a quarter of a millisecond.
constexpr std::size_t written_without_way_max = 256U << 10U;

class TcpStream final : public Stream, public MovableStream, public RankedStream {
 public:
  TcpStream(RealReactor& home, int fd) : peer_(peer_address(fd)), local_(local_address(fd)), socket_(home, fd) {}

  Task<Result<std::size_t>> read_some(bytes::MutableBytes into, base::MonoTime deadline) override {
    ENSURE(!into.empty() && !reading_, "a read without room, or a second read of one stream");
    const Flag reading(reading_);
    if (++reads_without_wait_ >= reads_without_yield_max) {
      reads_without_wait_ = 0;
      co_await yield();
    }
    while (true) {
      if (socket_.closed()) co_return std::unexpected(cancelled_error(true));
      if (drained_) {
        const Socket::Outcome outcome = co_await socket_.ready(Direction::read, deadline);
        if (outcome != Socket::Outcome::ready) co_return std::unexpected(cancelled_error(outcome == Socket::Outcome::closed));
        drained_ = false;
        reads_without_wait_ = 0;
      }
      const ssize_t got = ::recv(socket_.fd(), into.data(), into.size(), MSG_DONTWAIT);
      if (got >= 0) {
        // A short read emptied the socket: the next one waits at once instead of asking in vain.
        drained_ = static_cast<std::size_t>(got) < into.size();
        co_return static_cast<std::size_t>(got);
      }
      if (errno == EAGAIN) drained_ = true;
      else if (errno != EINTR) co_return base::fail(base::ErrorKind::io, errno_error(errno, "read").text);
    }
  }

  Task<Result<void>> write(std::vector<bytes::Bytes> from, base::MonoTime deadline) override {
    ENSURE(!writing_, "a second write of one stream");
    const Flag writing(writing_);
    PieceCursor cursor(std::move(from));
    std::array<iovec, pieces_per_call_max> pieces;
    std::size_t step_left = written_without_way_max;
    while (cursor.left_bytes() > 0) {
      if (step_left == 0) {
        co_await give_way();
        step_left = written_without_way_max;
      }
      if (socket_.closed()) co_return std::unexpected(cancelled_error(true));
      msghdr message{};
      message.msg_iov = pieces.data();
      message.msg_iovlen = cursor.fill(pieces, step_left);
      const ssize_t sent = ::sendmsg(socket_.fd(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent >= 0) {
        cursor.advance(static_cast<std::size_t>(sent));
        step_left -= static_cast<std::size_t>(sent);
      } else if (errno == EAGAIN) {
        const Socket::Outcome outcome = co_await socket_.ready(Direction::write, deadline);
        if (outcome != Socket::Outcome::ready) co_return std::unexpected(cancelled_error(outcome == Socket::Outcome::closed));
        step_left = written_without_way_max;
      } else if (errno != EINTR) {
        co_return base::fail(base::ErrorKind::io, errno_error(errno, "write").text);
      }
    }
    co_return Result<void>{};
  }

  void close() override { socket_.close(); }
  void set_rank(Rank rank) override { socket_.set_rank(rank); }
  std::unique_ptr<Stream> move_to(Reactor& home) override {
    auto* const target = dynamic_cast<RealReactor*>(&home);
    ENSURE(target != nullptr && !reading_ && !writing_, "a stream is moved while it is used, or away from the real runtime");
    return make_tcp_stream(*target, socket_.release());
  }
  [[nodiscard]] Address peer() const override { return peer_; }
  [[nodiscard]] Address local() const override { return local_; }

 private:
  struct Flag {
    explicit Flag(bool& flag) : flag_(flag) { flag_ = true; }
    ~Flag() { flag_ = false; }
    Flag(const Flag&) = delete;
    Flag& operator=(const Flag&) = delete;
    bool& flag_;
  };
  Address peer_;
  Address local_;
  Socket socket_;
  bool reading_ = false;
  bool writing_ = false;
  bool drained_ = true;
  int reads_without_wait_ = 0;
};

}  // namespace

std::unique_ptr<Stream> make_tcp_stream(RealReactor& home, int fd) { return std::make_unique<TcpStream>(home, fd); }

}  // namespace weir::runtime
