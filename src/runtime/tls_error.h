// runtime/tls_error.h: OpenSSL's error queue of this thread as text. Internal to runtime.
#pragma once

#include <string>

namespace weir::runtime {

/// Takes the queue's entries: "wrong version number", several joined by "; ". "no reason given" when empty.
std::string tls_errors();

}  // namespace weir::runtime
