// runtime/piece_cursor.h: a position inside a list of byte pieces, from which gathered system calls are cut. Internal to runtime.
// Contract:   the bytes are borrowed. fill() names at most as many pieces and bytes as one call takes; advance() follows what the
//             call did.
#pragma once

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <sys/uio.h>

#include "base/ensure.h"
#include "bytes/buffer.h"

namespace weir::runtime {

inline constexpr std::size_t pieces_per_call_max = 64;  // of IOV_MAX = 1024: they lie in the coroutine's frame
inline constexpr std::size_t bytes_per_call_max = std::size_t{1} << 30U;  // results are ints

class PieceCursor {
 public:
  explicit PieceCursor(std::vector<bytes::Bytes> pieces) : pieces_(std::move(pieces)) {
    for (const bytes::Bytes piece : pieces_) left_bytes_ += piece.size();
    skip_finished();
  }
  [[nodiscard]] std::size_t left_bytes() const { return left_bytes_; }
  /// What is left of the current piece; only while left_bytes() > 0.
  [[nodiscard]] bytes::Bytes front() const { return pieces_[index_].subspan(inside_bytes_); }
  /// `bytes_max`: bytes_per_call_max at most.
  unsigned fill(std::array<iovec, pieces_per_call_max>& into, std::size_t bytes_max = bytes_per_call_max) const {
    unsigned count = 0;
    std::size_t total = 0;
    std::size_t skip = inside_bytes_;
    for (std::size_t i = index_; i < pieces_.size() && count < into.size() && total < bytes_max; ++i) {
      const bytes::Bytes part = pieces_[i].subspan(skip);
      skip = 0;
      if (part.empty()) continue;
      const std::size_t size = std::min(part.size(), bytes_max - total);
      into[count++] = iovec{.iov_base = const_cast<std::byte*>(part.data()), .iov_len = size};
      total += size;
    }
    return count;
  }
  void advance(std::size_t size_bytes) {
    ENSURE(size_bytes <= left_bytes_, "wrote {} of {} bytes", size_bytes, left_bytes_);
    left_bytes_ -= size_bytes;
    inside_bytes_ += size_bytes;
    skip_finished();
  }

 private:
  void skip_finished() {
    while (index_ < pieces_.size() && inside_bytes_ >= pieces_[index_].size()) inside_bytes_ -= pieces_[index_++].size();
  }
  std::vector<bytes::Bytes> pieces_;
  std::size_t index_ = 0;
  std::size_t inside_bytes_ = 0;
  std::size_t left_bytes_ = 0;
};

}  // namespace weir::runtime
