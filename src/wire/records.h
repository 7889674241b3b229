// wire/records.h: the record batches inside a Produce request or a Fetch response.
// Why:        the same field is a view of the received frame when it was decoded and a list of shared buffers when it is sent:
//             a Fetch response sends batch memory without a copy.
// Contract:   null, a borrowed view, or owned buffers. view() is only for the borrowed kind (a decoded message).
// Tests:      writer_test.cc, tests/compat/wire.
#pragma once

#include <utility>

#include "base/ensure.h"
#include "bytes/buffer.h"

namespace weir::wire {

class Records {
 public:
  /// Null.
  Records() = default;
  /// Borrowed: the bytes must outlive the message; encoding copies them.
  explicit Records(bytes::Bytes view) : view_(view), null_(false) {}
  /// Shared: encoding only adds references.
  explicit Records(bytes::BufferList buffers) : buffers_(std::move(buffers)), null_(false) {}
  static Records empty() { return Records(bytes::Bytes{}); }

  [[nodiscard]] bool is_null() const { return null_; }
  [[nodiscard]] std::size_t size() const { return buffers_.empty() ? view_.size() : bytes::total_size(buffers_); }
  [[nodiscard]] bytes::Bytes view() const {
    ENSURE(buffers_.empty(), "view() of records that are a list of {} buffers", buffers_.size());
    return view_;
  }
  [[nodiscard]] const bytes::BufferList& buffers() const { return buffers_; }

 private:
  bytes::Bytes view_;
  bytes::BufferList buffers_;
  bool null_ = true;
};

}  // namespace weir::wire
