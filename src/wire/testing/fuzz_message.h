// wire/testing/fuzz_message.h: what the fuzzer does with one input, so that an ordinary test can replay inputs too.
#pragma once

#include "bytes/buffer.h"

namespace weir::wire::testing {

/// Byte 0 picks the message, byte 1 its version, the rest is decoded. What decodes must encode to something that decodes to the
/// same again; breaking that aborts. True when the input decoded.
bool fuzz_message(bytes::Bytes input);

}  // namespace weir::wire::testing
