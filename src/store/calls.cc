#include "store/calls.h"

#include <cstring>

#include <fmt/format.h>

#include "runtime/reactor.h"

namespace weir::store {

bytes::Buffer join(const bytes::BufferList& list) {
  const std::size_t size = bytes::total_size(list);
  if (size == 0) return {};
  bytes::SlabRef slab = bytes::SlabRef::allocate(size);
  std::size_t at = 0;
  for (const bytes::Buffer& piece : list) {
    if (!piece.empty()) std::memcpy(slab.writable().data() + at, piece.data(), piece.size());
    at += piece.size();
  }
  return bytes::Buffer(std::move(slab), 0, size);
}

bool past(base::MonoTime deadline) { return deadline != base::MonoTime{} && runtime::Reactor::current().now() >= deadline; }

std::unexpected<base::Error> too_late(std::string_view what) {
  return base::fail(base::ErrorKind::cancelled, fmt::format("the deadline passed before the {} began", what));
}

}  // namespace weir::store
