// wire/testing/fuzz_message.cc: see fuzz_message.h.
#include "wire/testing/fuzz_message.h"

#include "base/ensure.h"
#include "wire/framing.h"
#include "wire/testing/codec.h"

namespace weir::wire::testing {

bool fuzz_message(bytes::Bytes input) {
  static const std::vector<const Codec*> codecs = all_codecs();
  if (input.size() < 2) return false;
  const auto pick = static_cast<std::size_t>(input[0]);
  const bytes::Bytes body = input.subspan(2);
  if (pick == 255) {  // the header alone
    Reader reader(body);
    return parse_request_header(reader).has_value();
  }
  const Codec& codec = *codecs[pick % codecs.size()];
  const auto span = static_cast<std::size_t>(codec.version_max - codec.version_min + 1);
  const auto version =
      static_cast<std::int16_t>(codec.version_min + static_cast<std::int16_t>(static_cast<std::size_t>(input[1]) % span));
  const base::Result<Sample> first = codec.reencode(body, version, nullptr);
  if (!first) return false;
  const base::Result<Sample> second = codec.reencode(first->encoded, version, nullptr);
  ENSURE(second.has_value(), "{} v{}: encoded, it does not decode: {}", codec.name, version, second.error().text);
  ENSURE(second->encoded == first->encoded, "{} v{}: encoding is not stable", codec.name, version);
  ENSURE(second->json == first->json, "{} v{}: decoded differs: {} and {}", codec.name, version, first->json, second->json);
  return true;
}

}  // namespace weir::wire::testing
