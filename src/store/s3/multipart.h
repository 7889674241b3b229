// store/s3/multipart.h: store::Multipart over a shard's Caller.
#pragma once

#include <functional>

#include "store/multipart.h"
#include "store/op_metrics.h"
#include "store/s3.h"
#include "store/s3/caller.h"

namespace weir::store::s3 {

class S3Multipart final : public Multipart {
 public:
  /// All are borrowed; `caller` gives the current shard's.
  S3Multipart(const S3Options& options, OpMetrics& metrics, std::function<Caller&()> caller)
      : options_(options), metrics_(metrics), caller_(std::move(caller)) {}

  runtime::Task<base::Result<MultipartUpload>> begin(std::string key, GetOptions options) override;
  runtime::Task<base::Result<UploadPart>> put_part(MultipartUpload upload, std::uint32_t number, bytes::BufferList body,
                                                   PutOptions options) override;
  runtime::Task<base::Result<void>> complete(MultipartUpload upload, std::vector<UploadPart> parts,
                                             GetOptions options) override;
  runtime::Task<base::Result<void>> abort(MultipartUpload upload, GetOptions options) override;
  runtime::Task<base::Result<UploadPage>> list(std::string prefix, std::string after_key, std::string after_id,
                                               GetOptions options) override;

 private:
  runtime::Task<base::Result<MultipartUpload>> begin_inner(std::string key, GetOptions options);
  runtime::Task<base::Result<UploadPart>> put_part_inner(MultipartUpload upload, std::uint32_t number, bytes::BufferList body,
                                                         PutOptions options);
  runtime::Task<base::Result<void>> complete_inner(MultipartUpload upload, std::vector<UploadPart> parts, GetOptions options);
  runtime::Task<base::Result<void>> abort_inner(MultipartUpload upload, GetOptions options);
  runtime::Task<base::Result<UploadPage>> list_inner(std::string prefix, std::string after_key, std::string after_id,
                                                     GetOptions options);

  const S3Options& options_;
  OpMetrics& metrics_;
  std::function<Caller&()> caller_;
};

}  // namespace weir::store::s3
