// Whatever a server sends: the parsers end, stay inside their input and agree with themselves when fed in pieces.
#include <cstdint>

#include "base/ensure.h"
#include "store/s3/http_head.h"

using weir::store::s3::ChunkedDecoder;
using weir::store::s3::parse_request_head;
using weir::store::s3::parse_response_head;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto head = parse_response_head(text, (data[0] & 1U) != 0);
  if (head && *head) {
    ENSURE((*head)->consumed_bytes <= text.size(), "consumed beyond the input");
    const auto exact = parse_response_head(text.substr(0, (*head)->consumed_bytes), (data[0] & 1U) != 0);
    ENSURE(exact && *exact && (*exact)->status == (*head)->status, "what follows the head changes the head");
  }
  const auto request = parse_request_head(text);
  if (request && *request) ENSURE((*request)->consumed_bytes <= text.size(), "consumed beyond the input");

  ChunkedDecoder whole;
  std::string whole_body;
  const auto whole_used = whole.feed(text, &whole_body);
  ChunkedDecoder pieces;
  std::string pieces_body;
  std::size_t used = 0;
  bool failed = false;
  const std::size_t step = 1 + (data[0] >> 1U);
  while (used < text.size() && !pieces.done() && !failed) {
    const auto count = pieces.feed(text.substr(used, step), &pieces_body);
    failed = !count;
    if (count) used += *count;
  }
  ENSURE(failed == !whole_used, "the pieces decide otherwise than the whole");
  if (!failed)
    ENSURE(whole_body == pieces_body && *whole_used == used && whole.done() == pieces.done(), "the pieces give another body");
  return 0;
}
