#include "runtime/testing/certificates.h"

#include <cstdio>
#include <utility>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/ensure.h"

namespace weir::runtime::testing {

struct CertificateAuthority::Pair {
  X509* certificate = nullptr;
  EVP_PKEY* key = nullptr;
  Pair() = default;
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  ~Pair() {
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
};

namespace {

constexpr long valid_seconds = 24L * 3600;

void add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  ENSURE(extension != nullptr, "the extension {} is malformed", value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// Without an issuer the certificate signs itself.
void make_pair(const std::string& name, X509* issuer, EVP_PKEY* issuer_key, const std::string& alternative_names,
               X509*& certificate, EVP_PKEY*& key) {
  key = EVP_EC_gen("P-256");
  certificate = X509_new();
  ENSURE(key != nullptr && certificate != nullptr, "OpenSSL makes no key");
  static long serial = 1;
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -valid_seconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate), valid_seconds);
  X509_set_pubkey(certificate, key);
  X509_NAME* subject = X509_get_subject_name(certificate);
  const auto* text = reinterpret_cast<const unsigned char*>(name.c_str());
  X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>("weir test"), -1, -1, 0);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, text, -1, -1, 0);
  X509_set_issuer_name(certificate, issuer == nullptr ? subject : X509_get_subject_name(issuer));
  if (issuer == nullptr) add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
  if (!alternative_names.empty()) add_extension(certificate, issuer, NID_subject_alt_name, alternative_names);
  ENSURE(X509_sign(certificate, issuer_key == nullptr ? key : issuer_key, EVP_sha256()) > 0, "OpenSSL does not sign");
}

CertificateFiles save(const std::string& directory, const std::string& name, X509* certificate, EVP_PKEY* key) {
  CertificateFiles files{.certificate = directory + "/" + name + ".pem", .key = directory + "/" + name + ".key"};
  std::FILE* out = std::fopen(files.certificate.c_str(), "w");
  ENSURE(out != nullptr, "cannot write {}", files.certificate);
  PEM_write_X509(out, certificate);
  std::fclose(out);
  out = std::fopen(files.key.c_str(), "w");
  ENSURE(out != nullptr, "cannot write {}", files.key);
  PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(out);
  return files;
}

}  // namespace

CertificateAuthority::CertificateAuthority(std::string directory, std::string name)
    : directory_(std::move(directory)), self_(new Pair()) {
  make_pair(name, nullptr, nullptr, {}, self_->certificate, self_->key);
  file_ = save(directory_, name, self_->certificate, self_->key).certificate;
}

CertificateAuthority::~CertificateAuthority() { delete self_; }

CertificateFiles CertificateAuthority::issue(const std::string& name, const std::string& alternative_names) {
  Pair pair;
  make_pair(name, self_->certificate, self_->key, alternative_names, pair.certificate, pair.key);
  return save(directory_, name, pair.certificate, pair.key);
}

}  // namespace weir::runtime::testing
