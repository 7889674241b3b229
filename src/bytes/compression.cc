#include "bytes/compression.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include "bytes/endian.h"

namespace weir::bytes {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;

// Output that grows by doubling up to a limit; the limit is what the caller trusts, never a length in the input.
class Output {
 public:
  explicit Output(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  /// Free space behind what is there; empty when the limit is reached.
  MutableBytes space() {
    if (used_ == data_.size() && data_.size() < bytes_max_) {
      data_.resize(std::min(bytes_max_, std::max<std::size_t>(first_bytes, data_.size() * 2)));
    }
    return {data_.data() + used_, data_.size() - used_};
  }
  void produced(std::size_t count) { used_ += count; }
  [[nodiscard]] std::size_t left() const { return bytes_max_ - used_; }
  [[nodiscard]] Buffer take() const { return Buffer::copy_of(Bytes(data_.data(), used_)); }

 private:
  static constexpr std::size_t first_bytes = std::size_t{64} << 10U;
  std::size_t bytes_max_;
  std::size_t used_ = 0;
  std::vector<std::byte> data_;
};

std::unexpected<base::Error> too_large() { return fail(ErrorKind::invalid, "the decompressed records exceed the limit"); }

Result<Buffer> gunzip(Bytes input, std::size_t output_bytes_max) {
  z_stream stream{};
  constexpr int gzip_or_zlib_window = 15 + 32;
  if (inflateInit2(&stream, gzip_or_zlib_window) != Z_OK) return fail(ErrorKind::exhausted, "inflate has no memory");
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> guard(&stream, &inflateEnd);
  Output out(output_bytes_max);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input.data()));
  stream.avail_in = static_cast<uInt>(input.size());
  for (;;) {
    const MutableBytes space = out.space();
    std::byte probe{};
    // At the limit one more byte is offered, so that the end of the stream can still be seen.
    stream.next_out = reinterpret_cast<Bytef*>(space.empty() ? &probe : space.data());
    const auto offered = static_cast<uInt>(space.empty() ? 1 : space.size());
    stream.avail_out = offered;
    const int status = inflate(&stream, Z_NO_FLUSH);
    const std::size_t count = offered - stream.avail_out;
    if (space.empty() && count > 0) return too_large();
    out.produced(count);
    if (status == Z_STREAM_END) {
      if (stream.avail_in == 0) return out.take();
      if (inflateReset(&stream) != Z_OK) return fail(ErrorKind::invalid, "gzip: the next member does not begin");
      continue;
    }
    if (status != Z_OK) return fail(ErrorKind::invalid, "gzip: damaged or truncated");
  }
}

Result<Buffer> gzip(Bytes input) {
  z_stream stream{};
  constexpr int gzip_window = 15 + 16;
  constexpr int memory_level = 8;
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window, memory_level, Z_DEFAULT_STRATEGY) != Z_OK) {
    return fail(ErrorKind::exhausted, "deflate has no memory");
  }
  const std::unique_ptr<z_stream, decltype(&deflateEnd)> guard(&stream, &deflateEnd);
  SlabRef slab = SlabRef::allocate(deflateBound(&stream, input.size()));
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input.data()));
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(slab.writable().data());
  stream.avail_out = static_cast<uInt>(slab.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) return fail(ErrorKind::invalid, "gzip: the input does not fit its bound");
  return Buffer(std::move(slab), 0, stream.total_out);
}

// xerial: 8 bytes of magic, i32 version, i32 compatible version, then blocks of (i32 length, raw snappy), all big-endian.
constexpr std::array<std::byte, 8> xerial_magic{std::byte{0x82}, std::byte{'S'}, std::byte{'N'}, std::byte{'A'},
                                                std::byte{'P'},  std::byte{'P'}, std::byte{'Y'}, std::byte{0}};
constexpr std::size_t xerial_header_bytes = 16;
constexpr std::size_t xerial_block_bytes_max = std::size_t{32} << 10U;
constexpr std::size_t snappy_expansion_max =
    64;  ///< a snappy element of 2 bytes gives at most 64 bytes; lengths above are lies

Result<void> unsnap_block(Bytes block, Output& out) {
  std::size_t size = 0;
  const char* data = reinterpret_cast<const char*>(block.data());
  if (!snappy::GetUncompressedLength(data, block.size(), &size)) return fail(ErrorKind::invalid, "snappy: no length");
  if (size > out.left()) return too_large();
  if (size > block.size() * snappy_expansion_max) return fail(ErrorKind::invalid, "snappy: the stated length cannot be");
  std::vector<std::byte> plain(size);
  if (!snappy::RawUncompress(data, block.size(), reinterpret_cast<char*>(plain.data()))) {
    return fail(ErrorKind::invalid, "snappy: damaged block");
  }
  for (std::size_t at = 0; at < size;) {
    const MutableBytes space = out.space();
    const std::size_t count = std::min(space.size(), size - at);
    std::memcpy(space.data(), plain.data() + at, count);
    out.produced(count);
    at += count;
  }
  return {};
}

Result<Buffer> unsnap(Bytes input, std::size_t output_bytes_max) {
  Output out(output_bytes_max);
  const bool xerial =
      input.size() >= xerial_header_bytes && std::equal(xerial_magic.begin(), xerial_magic.end(), input.begin());
  if (!xerial) {
    WEIR_TRY(unsnap_block(input, out));
    return out.take();
  }
  for (std::size_t at = xerial_header_bytes; at < input.size();) {
    if (input.size() - at < sizeof(std::int32_t)) return fail(ErrorKind::invalid, "snappy: truncated block length");
    const auto length = load_be<std::int32_t>(input.data() + at);
    at += sizeof(std::int32_t);
    if (length < 0 || static_cast<std::size_t>(length) > input.size() - at) {
      return fail(ErrorKind::invalid, "snappy: a block is longer than the input");
    }
    WEIR_TRY(unsnap_block(input.subspan(at, static_cast<std::size_t>(length)), out));
    at += static_cast<std::size_t>(length);
  }
  return out.take();
}

Result<Buffer> snap(Bytes input) {
  std::vector<std::byte> out(xerial_magic.begin(), xerial_magic.end());
  out.resize(xerial_header_bytes);
  store_be<std::int32_t>(out.data() + 8, 1);
  store_be<std::int32_t>(out.data() + 12, 1);
  for (std::size_t at = 0; at < input.size(); at += xerial_block_bytes_max) {
    const Bytes block = input.subspan(at, std::min(xerial_block_bytes_max, input.size() - at));
    const std::size_t head = out.size();
    out.resize(head + sizeof(std::int32_t) + snappy::MaxCompressedLength(block.size()));
    std::size_t written = 0;
    snappy::RawCompress(reinterpret_cast<const char*>(block.data()), block.size(),
                        reinterpret_cast<char*>(out.data() + head + sizeof(std::int32_t)), &written);
    store_be(out.data() + head, static_cast<std::int32_t>(written));
    out.resize(head + sizeof(std::int32_t) + written);
  }
  return Buffer::copy_of(Bytes(out));
}

Result<Buffer> unlz4(Bytes input, std::size_t output_bytes_max) {
  LZ4F_dctx* context = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)) != 0) {
    return fail(ErrorKind::exhausted, "lz4 has no memory");
  }
  const std::unique_ptr<LZ4F_dctx, decltype(&LZ4F_freeDecompressionContext)> guard(context, &LZ4F_freeDecompressionContext);
  Output out(output_bytes_max);
  std::size_t at = 0;
  for (;;) {
    const MutableBytes space = out.space();
    std::byte probe{};
    std::size_t produced = space.empty() ? 1 : space.size();
    std::size_t consumed = input.size() - at;
    const std::size_t hint =
        LZ4F_decompress(context, space.empty() ? &probe : space.data(), &produced, input.data() + at, &consumed, nullptr);
    if (LZ4F_isError(hint) != 0) return fail(ErrorKind::invalid, "lz4: damaged frame");
    at += consumed;
    if (space.empty() && produced > 0) return too_large();
    out.produced(produced);
    if (hint == 0) {
      if (at == input.size()) return out.take();
      continue;  // a further frame
    }
    if (consumed == 0 && produced == 0) return fail(ErrorKind::invalid, "lz4: truncated frame");
  }
}

Result<Buffer> lz4(Bytes input) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  SlabRef slab = SlabRef::allocate(LZ4F_compressFrameBound(input.size(), &preferences));
  const std::size_t written = LZ4F_compressFrame(slab.writable().data(), slab.size(), input.data(), input.size(), &preferences);
  if (LZ4F_isError(written) != 0) return fail(ErrorKind::invalid, "lz4: the input does not fit its bound");
  return Buffer(std::move(slab), 0, written);
}

constexpr int zstd_window_log_max = 27;  ///< 128 MiB, zstd's own default for streams
constexpr int zstd_level = 3;            ///< Kafka's default

Result<Buffer> unzstd(Bytes input, std::size_t output_bytes_max) {
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  if (context == nullptr) return fail(ErrorKind::exhausted, "zstd has no memory");
  if (ZSTD_isError(ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, zstd_window_log_max)) != 0) {
    return fail(ErrorKind::invalid, "zstd: window limit refused");
  }
  Output out(output_bytes_max);
  ZSTD_inBuffer in{.src = input.data(), .size = input.size(), .pos = 0};
  for (;;) {
    const MutableBytes space = out.space();
    std::byte probe{};
    ZSTD_outBuffer to{.dst = space.empty() ? &probe : space.data(), .size = space.empty() ? 1 : space.size(), .pos = 0};
    const std::size_t before = in.pos;
    const std::size_t hint = ZSTD_decompressStream(context.get(), &to, &in);
    if (ZSTD_isError(hint) != 0) return fail(ErrorKind::invalid, "zstd: damaged frame");
    if (space.empty() && to.pos > 0) return too_large();
    out.produced(to.pos);
    if (hint == 0) {
      if (in.pos == in.size) return out.take();
      continue;
    }
    if (in.pos == before && to.pos == 0) return fail(ErrorKind::invalid, "zstd: truncated frame");
  }
}

Result<Buffer> zstd(Bytes input) {
  SlabRef slab = SlabRef::allocate(ZSTD_compressBound(input.size()));
  const std::size_t written = ZSTD_compress(slab.writable().data(), slab.size(), input.data(), input.size(), zstd_level);
  if (ZSTD_isError(written) != 0) return fail(ErrorKind::invalid, "zstd: the input does not fit its bound");
  return Buffer(std::move(slab), 0, written);
}

}  // namespace

Result<Buffer> decompress(Codec codec, Bytes input, std::size_t output_bytes_max) {
  if (input.empty()) return fail(ErrorKind::invalid, "nothing to decompress");
  switch (codec) {
    case Codec::gzip: return gunzip(input, output_bytes_max);
    case Codec::snappy: return unsnap(input, output_bytes_max);
    case Codec::lz4: return unlz4(input, output_bytes_max);
    case Codec::zstd: return unzstd(input, output_bytes_max);
  }
  return fail(ErrorKind::invalid, "unknown codec");
}

Result<Buffer> compress(Codec codec, Bytes input) {
  switch (codec) {
    case Codec::gzip: return gzip(input);
    case Codec::snappy: return snap(input);
    case Codec::lz4: return lz4(input);
    case Codec::zstd: return zstd(input);
  }
  return fail(ErrorKind::invalid, "unknown codec");
}

}  // namespace weir::bytes
