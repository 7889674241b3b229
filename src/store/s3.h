// store/s3.h: an object store in a bucket of S3 or of a server that speaks its protocol.
// Contract:   HTTP/1.1 on runtime's streams, kept alive per shard. PUT bodies go out gathered from the caller's buffers, GET
// bodies
//             are read into the buffer that is returned: no copy of a body. Every put carries an id of its own in the object's
//             metadata, so that a 412 after a lost reply is told from another writer's object.
// Invariants: I1 an attempt that sends a body has ended (its stream is closed or its answer read) before the next one begins and
//             before the call returns: body memory is never sent afterwards; only gets are hedged (s3/hedge.h)
//             I2 requests beyond one per call, whatever their reason, are at most a tenth of the calls over any 100 *
//             retry_burst_max calls of a shard (a token budget), so a struggling store is not loaded with retries
// Failure:    store.h. Answers of the server become sentences that say what to change.
// Limits:     S3Limits, s3/hedge.h.
// Tests:      store/s3_test.cc (conformance and faults on an in-process server), tests/system/s3_radosgw
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/runtime.h"
#include "store/s3/credentials.h"
#include "store/store.h"

namespace weir::store {

struct S3Limits {
  std::size_t connections_per_shard_max = 32;
  int attempts_max = 5;
  std::size_t retry_burst_max = 20;  ///< further attempts that a quiet store has saved up; each call then adds 9 %
  base::Duration connect_timeout = std::chrono::seconds(3);
  base::Duration first_byte_timeout = std::chrono::seconds(10);  ///< from the end of the request to the answer's first byte
  base::Duration progress_timeout = std::chrono::seconds(10);    ///< without a byte sent or received inside a body
  base::Duration slot_timeout = std::chrono::seconds(30);        ///< for a free connection when all are busy
  base::Duration idle_timeout = std::chrono::seconds(15);        ///< S3 itself closes after about 20 s
  std::uint64_t throughput_bytes_per_s_min = std::uint64_t{256}
                                             << 10U;  ///< an attempt slower than this over its size is given up
  base::Duration backoff_base = std::chrono::milliseconds(50);
  base::Duration backoff_slow_base = std::chrono::milliseconds(500);  ///< after 503 SlowDown
  base::Duration backoff_max = std::chrono::seconds(5);
  std::uint64_t get_bytes_max = std::uint64_t{1} << 30U;  ///< of one get()
};

struct S3Options {
  std::string bucket;
  std::string prefix;  ///< without '/' at its ends; may be empty
  std::string region;
  runtime::Address endpoint;  ///< what to connect to: the bucket's own host, or the service's
  std::string host_header;    ///< with the port where it is not the scheme's
  bool tls = true;
  bool path_style = false;
  bool sign_payload = false;  ///< SHA-256 of bodies in the signature, instead of only CRC-32C beside it
  runtime::TlsClientOptions tls_options;
  S3Limits limits;
};

/// The doors are borrowed and outlive the store. Called on any shard; stop() runs on that same shard.
std::unique_ptr<ObjectStore> make_s3_store(S3Options options, std::unique_ptr<s3::CredentialSource> credentials,
                                           const runtime::Runtime& doors);

}  // namespace weir::store
