// store/open.h: from the settings' URL to an object store.
// Contract:   no request is sent to S3: the first use of the bucket tells whether it is there. The environment comes as a map
// (AWS_REGION,
//             AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL and the credentials' variables are read). The doors are
//             borrowed and outlive the store; stop() runs on the shard that opened it.
// Limits:     retry_burst_max: S3Limits' own unless given. A command that makes a few calls and must not fail for a bad hour of the
//             store gives as many as it makes calls; a broker keeps the default.
// Failure:    invalid: the URL (see url.h); what a directory's creation says.
// Tests:      store/open_test.cc
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "runtime/runtime.h"
#include "store/s3.h"
#include "store/store.h"
#include "store/url.h"

namespace weir::store {

runtime::Task<base::Result<std::unique_ptr<ObjectStore>>> open_store(std::string url,
                                                                     std::map<std::string, std::string> environment,
                                                                     const runtime::Runtime& doors,
                                                                     std::optional<std::size_t> retry_burst_max = std::nullopt);

/// Where and how to talk to the bucket: addresses, host header, style, limits. Pure.
base::Result<S3Options> s3_options(const S3StoreUrl& url, const std::map<std::string, std::string>& environment);

}  // namespace weir::store
