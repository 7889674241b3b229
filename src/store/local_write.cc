#include "store/local_write.h"

#include <algorithm>
#include <cstring>
#include <memory>

namespace weir::store {
namespace {

using base::Result;
using bytes::Bytes;
using bytes::io_alignment_bytes;
using runtime::Durability;
using runtime::File;
using runtime::Task;

constexpr std::size_t aligned_run_bytes_min = 64U
                                              << 10U;  // shorter aligned runs are copied: a device write each would cost more
constexpr std::size_t aligned_run_bytes_max = 8U << 20U;

bool aligned(const std::byte* at) { return reinterpret_cast<std::uintptr_t>(at) % io_alignment_bytes == 0; }

// Writes around the page cache. Offsets stay aligned because every write but the last is a multiple of the alignment.
Task<Result<void>> write_direct(File* file, const bytes::BufferList* body) {
  const bytes::SlabRef bounce = bytes::SlabRef::allocate(bounce_bytes, io_alignment_bytes);
  const bytes::MutableBytes room = bounce.writable();
  std::uint64_t offset = 0;
  std::size_t used = 0;
  for (const bytes::Buffer& piece : *body) {
    Bytes left = piece.view();
    while (!left.empty()) {
      if (used == 0 && aligned(left.data()) && left.size() >= aligned_run_bytes_min) {
        const std::size_t run = std::min(left.size() / io_alignment_bytes * io_alignment_bytes, aligned_run_bytes_max);
        WEIR_CO_TRY(co_await file->write_at(offset, std::vector<Bytes>(1, left.first(run)), Durability::none));
        offset += run;
        left = left.subspan(run);
        continue;
      }
      const std::size_t count = std::min(left.size(), room.size() - used);
      std::memcpy(room.data() + used, left.data(), count);
      used += count;
      left = left.subspan(count);
      if (used < room.size()) continue;
      WEIR_CO_TRY(co_await file->write_at(offset, std::vector<Bytes>(1, Bytes(room)), Durability::none));
      offset += used;
      used = 0;
    }
  }
  if (used == 0) co_return Result<void>{};
  const std::size_t padded = (used + io_alignment_bytes - 1) / io_alignment_bytes * io_alignment_bytes;
  std::memset(room.data() + used, 0, padded - used);
  WEIR_CO_TRY(co_await file->write_at(offset, std::vector<Bytes>(1, Bytes(room.first(padded))), Durability::none));
  if (padded != used) WEIR_CO_TRY(co_await file->truncate(offset + used));
  co_return Result<void>{};
}

Task<Result<void>> write_buffered(File* file, const bytes::BufferList* body) {
  std::vector<Bytes> pieces;
  pieces.reserve(body->size());
  for (const bytes::Buffer& piece : *body) {
    if (!piece.empty()) pieces.push_back(piece.view());
  }
  if (pieces.empty()) co_return Result<void>{};
  co_return co_await file->write_at(0, std::move(pieces), Durability::none);
}

Task<Result<void>> write_and_sync(File* file, const bytes::BufferList* body, bool direct) {
  auto written = direct ? co_await write_direct(file, body) : co_await write_buffered(file, body);
  if (!written) co_return written;
  co_return co_await file->sync();
}

}  // namespace

Task<Result<void>> write_new_file(runtime::FileSystem* files, std::string path, const bytes::BufferList* body) {
  const bool direct = bytes::total_size(*body) >= direct_bytes_min;
  std::unique_ptr<File> file;
  WEIR_CO_TRY_ASSIGN(
      file, co_await files->open(std::move(path), {.write = true, .create = true, .exclusive = true, .direct = direct}));
  auto done = co_await write_and_sync(file.get(), body, direct);
  co_await file->close();
  co_return done;
}

Task<Result<bytes::Buffer>> read_range(File* file, std::uint64_t offset_bytes, std::uint64_t size_bytes) {
  // The file's size bounds the allocation, whatever the caller asked for.
  std::uint64_t file_size = 0;
  WEIR_CO_TRY_ASSIGN(file_size, co_await file->size());
  if (offset_bytes >= file_size) co_return bytes::Buffer();
  const std::uint64_t left = file_size - offset_bytes;
  const std::uint64_t wanted = size_bytes == 0 ? left : std::min(left, size_bytes);
  bytes::SlabRef slab = bytes::SlabRef::allocate(wanted, io_alignment_bytes);
  std::size_t count = 0;
  WEIR_CO_TRY_ASSIGN(count, co_await file->read_at(offset_bytes, slab.writable()));
  if (count != wanted) co_return base::fail(base::ErrorKind::corrupt, "the file became shorter while it was read");
  co_return bytes::Buffer(std::move(slab), 0, count);
}

}  // namespace weir::store
