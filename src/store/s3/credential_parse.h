// store/s3/credential_parse.h: credentials as they stand in files and in the answers of metadata services.
// Contract:   pure. Errors never contain a value, only names and places.
// Tests:      store/s3/credentials_test.cc, store/s3/credential_parse_fuzz.cc
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/s3/sigv4.h"

namespace weir::store::s3 {

/// The shared credentials file (INI). Empty: the profile is not in it, or holds no keys.
base::Result<std::optional<Credentials>> parse_shared_file(std::string_view text, std::string_view profile);
/// {"AccessKeyId": .., "SecretAccessKey": .., "Token": .., "Expiration": ..} of container endpoints and instance metadata.
base::Result<Credentials> parse_credential_json(std::string_view text);

}  // namespace weir::store::s3
