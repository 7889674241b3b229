// runtime/testing/certificates.h: throw-away certificates for tests of TLS.
#pragma once

#include <string>

namespace weir::runtime::testing {

/// Files in PEM.
struct CertificateFiles {
  std::string certificate;
  std::string key;
};

/// A self-signed authority, then certificates that it signs, as files NAME.pem and NAME.key in the directory.
class CertificateAuthority {
 public:
  explicit CertificateAuthority(std::string directory, std::string name = "ca");
  ~CertificateAuthority();
  CertificateAuthority(const CertificateAuthority&) = delete;
  CertificateAuthority& operator=(const CertificateAuthority&) = delete;
  [[nodiscard]] const std::string& file() const { return file_; }
  /// alternative_names: OpenSSL's form, "DNS:broker.test,IP:127.0.0.1"; empty for clients.
  CertificateFiles issue(const std::string& name, const std::string& alternative_names);

 private:
  struct Pair;
  std::string directory_;
  std::string file_;
  Pair* self_;
};

}  // namespace weir::runtime::testing
