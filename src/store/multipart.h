// store/multipart.h: S3's uploads in parts, of stores that have them. weir puts every object whole; it looks at uploads to end what was
// left behind under its prefix (parts that nobody completes are billed and show in no list of objects), and `weir store check` tries them.
// Contract:   as ObjectStore: any shard, keys without the store's prefix, buffers kept alive until every attempt has ended. The store
//             outlives its calls.
// Failure:    as ObjectStore; not_found: no such upload (completed or aborted already). abort() takes a missing one for aborted.
//             complete() after a lost reply: unknown_outcome, the object may be there.
// Source:     Amazon S3 API reference: CreateMultipartUpload, UploadPart, CompleteMultipartUpload, AbortMultipartUpload,
//             ListMultipartUploads.
// Tests:      store/s3_multipart_test.cc
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/store.h"

namespace weir::store {

/// Every part but the last is at least this large.
inline constexpr std::size_t part_bytes_min = std::size_t{5} << 20U;

struct MultipartUpload {
  std::string key;
  std::string id;             ///< the server's
  std::int64_t begun_ms = 0;  ///< the store's clock; 0 from begin()
};

struct UploadPart {
  std::string etag;  ///< as the server gave it
  std::uint32_t crc32c = 0;
};

struct UploadPage {
  std::vector<MultipartUpload> uploads;
  std::string next_key;  ///< both empty: this was the last page
  std::string next_id;
};

class Multipart {
 public:
  virtual ~Multipart() = default;
  virtual runtime::Task<base::Result<MultipartUpload>> begin(std::string key, GetOptions options) = 0;
  /// `number` from 1; options.crc32c is of this part.
  virtual runtime::Task<base::Result<UploadPart>> put_part(MultipartUpload upload, std::uint32_t number, bytes::BufferList body,
                                                           PutOptions options) = 0;
  /// `parts` in order of their numbers, without a gap.
  virtual runtime::Task<base::Result<void>> complete(MultipartUpload upload, std::vector<UploadPart> parts,
                                                     GetOptions options) = 0;
  virtual runtime::Task<base::Result<void>> abort(MultipartUpload upload, GetOptions options) = 0;
  /// Up to 1,000 uploads that are under way, whose key begins with `prefix`, from behind (next_key, next_id) of the page before.
  virtual runtime::Task<base::Result<UploadPage>> list(std::string prefix, std::string after_key, std::string after_id,
                                                       GetOptions options) = 0;
};

}  // namespace weir::store
