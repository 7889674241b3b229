#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/ensure.h"
#include "runtime/tls.h"
#include "runtime/tls_error.h"

namespace weir::runtime {
namespace {

using base::ErrorKind;

constexpr std::size_t read_ahead_bytes = 64U << 10U;

SSL_CTX* new_context(const SSL_METHOD* method) {
  SSL_CTX* context = SSL_CTX_new(method);
  ENSURE(context != nullptr, "SSL_CTX_new: {}", tls_errors());
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // Buffers are given back while a connection is idle: thousands of them must not cost 80 KiB each.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, read_ahead_bytes);
  // Sessions resume by tickets, which cost the server no memory.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  return context;
}

std::unexpected<base::Error> bad_file(std::string_view what, const std::string& file) {
  return base::fail(ErrorKind::invalid, fmt::format("{} {}: {}", what, file, tls_errors()));
}

base::Result<void> load_own(SSL_CTX* context, const std::string& chain_file, const std::string& key_file) {
  if (SSL_CTX_use_certificate_chain_file(context, chain_file.c_str()) != 1) return bad_file("certificate chain", chain_file);
  if (SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1) return bad_file("private key", key_file);
  if (SSL_CTX_check_private_key(context) != 1) return bad_file("the key is not the certificate's:", key_file);
  return {};
}

}  // namespace

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

base::Result<std::shared_ptr<const TlsContext>> TlsContext::make_server(const TlsServerOptions& options) {
  ERR_clear_error();
  std::shared_ptr<TlsContext> made(new TlsContext(new_context(TLS_server_method())));
  SSL_CTX* context = made->get();
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
  WEIR_TRY(load_own(context, options.certificate_chain_file, options.private_key_file));
  if (options.client_ca_file.empty()) {
    if (options.require_client_certificate) {
      return base::fail(ErrorKind::invalid, "client certificates are required, but no file of their authorities is given");
    }
    return made;
  }
  if (SSL_CTX_load_verify_locations(context, options.client_ca_file.c_str(), nullptr) != 1) {
    return bad_file("client authorities", options.client_ca_file);
  }
  STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(options.client_ca_file.c_str());
  if (names == nullptr) return bad_file("client authorities", options.client_ca_file);
  SSL_CTX_set_client_CA_list(context, names);  // takes them
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (options.require_client_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                     nullptr);
  // A resumed session is taken only where it was begun: with these client authorities.
  constexpr std::string_view session_context = "weir";
  SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>(session_context.data()),
                                 session_context.size());
  return made;
}

base::Result<std::shared_ptr<const TlsContext>> TlsContext::make_client(const TlsClientOptions& options) {
  ERR_clear_error();
  std::shared_ptr<TlsContext> made(new TlsContext(new_context(TLS_client_method())));
  if (options.ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(made->get()) != 1) return bad_file("the system's authorities", options.ca_file);
  } else if (SSL_CTX_load_verify_locations(made->get(), options.ca_file.c_str(), nullptr) != 1) {
    return bad_file("authorities", options.ca_file);
  }
  if (!options.certificate_chain_file.empty()) {
    WEIR_TRY(load_own(made->get(), options.certificate_chain_file, options.private_key_file));
  }
  return made;
}

}  // namespace weir::runtime
