#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include "base/ensure.h"
#include "runtime/errno_error.h"
#include "runtime/piece_cursor.h"
#include "runtime/socket.h"
#include "runtime/tls.h"
#include "runtime/tls_error.h"

namespace weir::runtime {
namespace {

using base::ErrorKind;
using base::Result;

constexpr std::size_t record_bytes_max = 16U << 10U;
constexpr std::size_t out_bytes_kept_max = 16U << 10U;  // of the output buffer's memory, while nothing waits in it

BIO_METHOD* bio_method();

class TlsStream final : public Stream, public RankedStream {
 public:
  TlsStream(RealReactor& home, int fd, std::shared_ptr<const TlsContext> context)
      : context_(std::move(context)), peer_(peer_address(fd)), local_(local_address(fd)), socket_(home, fd) {
    ssl_ = SSL_new(context_->get());
    ENSURE(ssl_ != nullptr, "SSL_new: {}", tls_errors());
    BIO* bio = BIO_new(bio_method());
    ENSURE(bio != nullptr, "BIO_new: {}", tls_errors());
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_, bio, bio);
  }
  ~TlsStream() override { SSL_free(ssl_); }
  SSL* ssl() { return ssl_; }

  Task<Result<std::size_t>> read_some(bytes::MutableBytes into, base::MonoTime deadline) override {
    ENSURE(!into.empty(), "a read without room");
    WEIR_CO_TRY(co_await handshake(deadline));
    while (true) {
      if (socket_.closed()) co_return std::unexpected(cancelled_error(true));
      int reason = SSL_ERROR_NONE;
      const std::size_t got = decrypt(into, reason);
      if (waiting_out_bytes() > 0) WEIR_CO_TRY(co_await flush(deadline));
      if (got > 0) co_return got;
      if (reason == SSL_ERROR_ZERO_RETURN) co_return std::size_t{0};
      if (reason != SSL_ERROR_WANT_READ) co_return failure("TLS read");
      WEIR_CO_TRY(co_await wait_readable(deadline));
    }
  }

  Task<Result<void>> write(std::vector<bytes::Bytes> from, base::MonoTime deadline) override {
    WEIR_CO_TRY(co_await handshake(deadline));
    PieceCursor cursor(std::move(from));
    while (cursor.left_bytes() > 0) {
      if (socket_.closed()) co_return std::unexpected(cancelled_error(true));
      if (!encrypt(cursor)) co_return failure("TLS write");
      WEIR_CO_TRY(co_await flush(deadline));
      if (cursor.left_bytes() > 0)
        co_await give_way();  // tls_out_bytes_max are a tenth of a millisecond: others have their turn
    }
    co_return Result<void>{};
  }

  // One of the two directions does it, the other waits for its end.
  Task<Result<void>> handshake(base::MonoTime deadline) {
    while (handshaking_) {
      if (co_await handshake_ended_.wait(deadline) != Wake::ready) co_return std::unexpected(cancelled_error(socket_.closed()));
    }
    if (handshaken_) co_return Result<void>{};
    if (handshake_error_) co_return std::unexpected(*handshake_error_);
    handshaking_ = true;
    Result<void> result = co_await run_handshake(deadline);
    handshaking_ = false;
    handshaken_ = result.has_value();
    if (!result) handshake_error_ = result.error();
    handshake_ended_.pulse();
    co_return result;
  }

  void set_rank(Rank rank) override { socket_.set_rank(rank); }
  void close() override {
    if (socket_.closed()) return;
    if (handshaken_) {
      // Best effort: the peer sees an orderly end if the socket takes these few bytes at once.
      ERR_clear_error();
      SSL_shutdown(ssl_);
      if (out_at_ < out_.size())
        ::send(socket_.fd(), out_.data() + out_at_, out_.size() - out_at_, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    socket_.close();
  }
  [[nodiscard]] Address peer() const override { return peer_; }
  [[nodiscard]] Address local() const override { return local_; }

  [[nodiscard]] std::optional<std::string> peer_certificate_subject() const override {
    X509* certificate = SSL_get1_peer_certificate(ssl_);
    if (certificate == nullptr) return std::nullopt;
    std::optional<std::string> subject;
    BIO* text = BIO_new(BIO_s_mem());
    if (text != nullptr && SSL_get_verify_result(ssl_) == X509_V_OK &&
        X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
      char* data = nullptr;
      const long size = BIO_get_mem_data(text, &data);
      subject.emplace(data, static_cast<std::size_t>(size));
    }
    BIO_free(text);
    X509_free(certificate);
    return subject;
  }

  // The BIO's two ends. Reading asks the socket only while it may have bytes; writing gathers until flush().
  int bio_read(char* into, int size) {
    if (drained_) return -1;
    ssize_t got = 0;
    do { got = ::recv(socket_.fd(), into, static_cast<std::size_t>(size), MSG_DONTWAIT); } while (got < 0 && errno == EINTR);
    if (got < 0 && errno != EAGAIN) {
      read_errno_ = errno;
      return 0;
    }
    peer_ended_ = got == 0;
    drained_ = got < size && got != 0;
    return static_cast<int>(got);
  }
  [[nodiscard]] bool bio_ended() const { return peer_ended_; }
  [[nodiscard]] bool bio_may_retry() const { return drained_; }
  int bio_write(const char* from, int size) {
    const auto* begin = reinterpret_cast<const std::byte*>(from);
    out_.insert(out_.end(), begin, begin + size);
    return size;
  }

 private:
  // Records until the room is full or the socket empty.
  std::size_t decrypt(bytes::MutableBytes into, int& reason) {
    std::size_t done = 0;
    while (done < into.size()) {
      ERR_clear_error();
      std::size_t got = 0;
      const int ok = SSL_read_ex(ssl_, into.data() + done, into.size() - done, &got);
      if (ok != 1) {
        reason = SSL_get_error(ssl_, ok);
        break;
      }
      done += got;
    }
    return done;
  }

  // Small pieces are put together, so that a response's header does not cost a record of its own.
  bool encrypt(PieceCursor& cursor) {
    std::array<std::byte, record_bytes_max> staged;
    while (cursor.left_bytes() > 0 && waiting_out_bytes() < tls_out_bytes_max) {
      bytes::Bytes plain = cursor.front().first(std::min(cursor.front().size(), record_bytes_max));
      if (plain.size() < record_bytes_max && plain.size() < cursor.left_bytes()) {
        std::size_t size = 0;
        PieceCursor& from = cursor;
        while (from.left_bytes() > 0 && size < staged.size()) {
          const bytes::Bytes part = from.front().first(std::min(from.front().size(), staged.size() - size));
          std::memcpy(staged.data() + size, part.data(), part.size());
          size += part.size();
          from.advance(part.size());
        }
        if (!encrypt_record(bytes::Bytes(staged).first(size))) return false;
        continue;
      }
      if (!encrypt_record(plain)) return false;
      cursor.advance(plain.size());
    }
    return true;
  }
  // The output side takes everything, so a record is never split.
  bool encrypt_record(bytes::Bytes plain) {
    ERR_clear_error();
    std::size_t taken = 0;
    return SSL_write_ex(ssl_, plain.data(), plain.size(), &taken) == 1 && taken == plain.size();
  }

  Task<Result<void>> run_handshake(base::MonoTime deadline) {
    while (true) {
      if (socket_.closed()) co_return std::unexpected(cancelled_error(true));
      ERR_clear_error();
      const int ok = SSL_do_handshake(ssl_);
      const int reason = ok == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_, ok);
      // What OpenSSL said goes with this failure, not with one of the flush (the alert may not reach a peer that left).
      const std::string text = ok == 1 || reason == SSL_ERROR_WANT_READ ? std::string() : handshake_reason();
      const Result<void> flushed = co_await flush(deadline);
      if (!text.empty()) co_return base::fail(ErrorKind::io, text);
      if (!flushed) co_return flushed;
      if (ok == 1) co_return Result<void>{};
      WEIR_CO_TRY(co_await wait_readable(deadline));
    }
  }

  std::string handshake_reason() {
    const long verified = SSL_get_verify_result(ssl_);
    std::string text = "TLS handshake: " + reason_text();
    if (verified != X509_V_OK) text += fmt::format(" ({})", X509_verify_cert_error_string(verified));
    return text;
  }
  std::string reason_text() {
    if (read_errno_ != 0) return std::string(errno_error(read_errno_, "read").text);
    if (ERR_peek_error() == 0) return "the peer closed the connection";
    return tls_errors();
  }
  std::unexpected<base::Error> failure(std::string_view what) {
    return base::fail(ErrorKind::io, fmt::format("{}: {}", what, reason_text()));
  }

  [[nodiscard]] std::size_t waiting_out_bytes() const { return out_.size() - out_at_; }

  // Both directions may be here at once: each sends from the front of what is left.
  Task<Result<void>> flush(base::MonoTime deadline) {
    while (waiting_out_bytes() > 0) {
      if (socket_.closed()) co_return std::unexpected(cancelled_error(true));
      const ssize_t sent = ::send(socket_.fd(), out_.data() + out_at_, waiting_out_bytes(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent >= 0) {
        out_at_ += static_cast<std::size_t>(sent);
      } else if (errno == EAGAIN) {
        WEIR_CO_TRY(co_await socket_.wait(Direction::write, deadline));
      } else if (errno != EINTR) {
        co_return base::fail(ErrorKind::io, errno_error(errno, "write").text);
      }
    }
    out_at_ = 0;
    out_.clear();
    if (out_.capacity() > out_bytes_kept_max) std::vector<std::byte>().swap(out_);
    co_return Result<void>{};
  }

  Task<Result<void>> wait_readable(base::MonoTime deadline) {
    WEIR_CO_TRY(co_await socket_.wait(Direction::read, deadline));
    drained_ = false;
    co_return Result<void>{};
  }

  std::shared_ptr<const TlsContext> context_;
  Address peer_;
  Address local_;
  Socket socket_;
  SSL* ssl_ = nullptr;
  std::vector<std::byte> out_;
  std::size_t out_at_ = 0;
  bool drained_ = false;
  bool peer_ended_ = false;
  int read_errno_ = 0;
  bool handshaking_ = false;
  bool handshaken_ = false;
  std::optional<base::Error> handshake_error_;
  Event handshake_ended_;
};

int read_from_stream(BIO* bio, char* into, int size) {
  auto* stream = static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const int got = stream->bio_read(into, size);
  if (got < 0 && stream->bio_may_retry()) BIO_set_retry_read(bio);
  return got;
}
int write_to_stream(BIO* bio, const char* from, int size) {
  BIO_clear_retry_flags(bio);
  return static_cast<TlsStream*>(BIO_get_data(bio))->bio_write(from, size);
}
long control(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
  if (command == BIO_CTRL_EOF) return static_cast<TlsStream*>(BIO_get_data(bio))->bio_ended() ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* bio_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir stream");
    ENSURE(made != nullptr, "BIO_meth_new: {}", tls_errors());
    BIO_meth_set_read(made, read_from_stream);
    BIO_meth_set_write(made, write_to_stream);
    BIO_meth_set_ctrl(made, control);
    return made;
  }();
  return method;
}

bool is_numeric(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> ignored{};
  return ::inet_pton(AF_INET, host.c_str(), ignored.data()) == 1 || ::inet_pton(AF_INET6, host.c_str(), ignored.data()) == 1;
}

}  // namespace

std::unique_ptr<Stream> make_tls_server_stream(RealReactor& home, int fd, std::shared_ptr<const TlsContext> context) {
  auto stream = std::make_unique<TlsStream>(home, fd, std::move(context));
  SSL_set_accept_state(stream->ssl());
  return stream;
}

Task<Result<std::unique_ptr<Stream>>> connect_tls(RealReactor& home, int fd, std::shared_ptr<const TlsContext> context,
                                                  std::string server_name, bool verify, base::MonoTime deadline) {
  auto stream = std::make_unique<TlsStream>(home, fd, std::move(context));
  SSL* ssl = stream->ssl();
  SSL_set_connect_state(ssl);
  const bool numeric = is_numeric(server_name);
  if (!numeric) SSL_set_tlsext_host_name(ssl, server_name.c_str());
  if (verify) {
    X509_VERIFY_PARAM* check = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(check, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int set = numeric ? X509_VERIFY_PARAM_set1_ip_asc(check, server_name.c_str())
                            : X509_VERIFY_PARAM_set1_host(check, server_name.c_str(), server_name.size());
    if (set != 1) co_return base::fail(ErrorKind::invalid, "not a name that a certificate can prove: " + server_name);
    SSL_set_verify(ssl, SSL_VERIFY_PEER, nullptr);
  }
  WEIR_CO_TRY(co_await stream->handshake(deadline));
  co_return std::unique_ptr<Stream>(std::move(stream));
}

}  // namespace weir::runtime
