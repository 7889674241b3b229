// store/s3/credentials.h: where the keys come from, and keeping them fresh.
// Why:        temporary keys live for an hour or less; a broker that refreshed them late would stop uploading.
// Contract:   the chain is that of the AWS tools: a named profile; the environment; web identity (STS); the shared file's
// default
//             profile; the container endpoint; instance metadata (IMDSv2). The first one that is set up is the one used: if it
//             fails, its error is told rather than another identity taken. The environment comes as a map, files and sockets
//             through the doors.
// Invariants: one fetch at a time per provider, for all shards (single flight)
// Failure:    invalid: nothing is set up, or a file is wrong (text lists where was looked). retry: the service did not answer;
// keys
//             that are still valid stay in use.
// Limits:     refresh_ahead, refresh_pause.
// Tests:      store/s3/credentials_test.cc
#pragma once

#include <map>
#include <memory>
#include <string>

#include "runtime/runtime.h"
#include "runtime/sync.h"
#include "store/s3/sigv4.h"

namespace weir::store::s3 {

inline constexpr std::int64_t refresh_ahead_ms = 5 * 60 * 1000;  ///< keys that expire sooner are fetched anew
inline constexpr base::Duration refresh_pause =
    std::chrono::seconds(10);  ///< between fetches that failed while old keys still serve

class CredentialSource {
 public:
  virtual ~CredentialSource() = default;
  virtual runtime::Task<base::Result<Credentials>> fetch() = 0;
};

/// The same keys each time.
std::unique_ptr<CredentialSource> make_static_credentials(Credentials credentials);

struct CredentialOptions {
  std::map<std::string, std::string> environment;
  std::string profile;  ///< given by the user; empty: AWS_PROFILE or "default"
  std::string region;   ///< for STS
};
/// The doors are borrowed and outlive the source.
std::unique_ptr<CredentialSource> make_credential_chain(CredentialOptions options, const runtime::Runtime& doors);

/// Caches and refreshes; lives on one reactor (`home`), where get() is called.
class CredentialCache {
 public:
  CredentialCache(std::unique_ptr<CredentialSource> source, runtime::Logger* log) : source_(std::move(source)), log_(log) {}
  /// `rejected`: the access key and token that the server just refused, or empty: they are not given out again unless the
  /// source still says so (then as the very same object, and without asking the source again for refresh_pause).
  runtime::Task<base::Result<std::shared_ptr<const Credentials>>> get(std::shared_ptr<const Credentials> rejected);

 private:
  [[nodiscard]] bool usable(std::int64_t margin_ms) const;
  runtime::Task<base::Result<void>> refresh();

  std::unique_ptr<CredentialSource> source_;
  runtime::Logger* log_;
  std::shared_ptr<const Credentials> current_;
  base::MonoTime next_refresh_{};
  bool refreshing_ = false;
  runtime::Event refreshed_;
  base::Result<void> last_outcome_;
};

}  // namespace weir::store::s3
