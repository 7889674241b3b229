// wire/testing/codec.h: every message behind one type, so that tests, the fuzzer and the proof against Kafka can walk all of them.
// Place:      tests only; the lists are generated (wire/testing/*_testing.cc, all_codecs.cc).
// Contract:   coverage says, per field and version, which of null, empty, maximum, default and unknown tags were seen.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "bytes/buffer.h"
#include "wire/printer.h"
#include "wire/reader.h"
#include "wire/testing/message_random.h"
#include "wire/writer.h"

namespace weir::wire::testing {

struct Seen {
  enum : unsigned { null = 1, empty = 2, maximum = 4, default_value = 8, unknown_tag = 16 };
};

/// What must be seen of a field, and in which versions.
struct FieldFact {
  const char* path;
  std::int16_t first, last;
  std::int16_t null_first, null_last;
  unsigned classes;
  /// The classes that apply in one version.
  [[nodiscard]] unsigned wanted(std::int16_t version) const;
};

class MessageCoverage {
 public:
  void see(std::size_t fact_index, std::int16_t version, unsigned seen) { seen_[{fact_index, version}] |= seen; }
  [[nodiscard]] unsigned seen(std::size_t fact_index, std::int16_t version) const;

 private:
  std::map<std::pair<std::size_t, std::int16_t>, unsigned> seen_;
};

/// One message on the wire and as Kafka's JSON.
struct Sample {
  std::vector<std::byte> encoded;
  std::string json;
  bool unknown_tags = false;  ///< made with unknown tags, which the JSON does not show
};

struct Codec {
  const char* name;
  const char* kind;  ///< request, response or body
  std::int16_t api_key;
  std::int16_t version_min, version_max, flexible_min;
  std::vector<FieldFact> facts;
  std::function<Sample(std::uint64_t seed, Shape shape, bool unknown_tags, std::int16_t version)> random;
  /// Decodes (all of `encoded` must be used), encodes and prints. `coverage` may be null.
  std::function<base::Result<Sample>(bytes::Bytes encoded, std::int16_t version, MessageCoverage* coverage)> reencode;
};

/// All generated messages, APIs in order of key.
std::vector<const Codec*> all_codecs();

/// The lines "MESSAGE vN FIELD: missing null, ..." for whatever was wanted and not seen.
std::vector<std::string> missing_coverage(const Codec& codec, const MessageCoverage& coverage);

template <class Message>
Sample make_sample(const Message& message, std::int16_t version) {
  Writer writer;
  message.encode(writer, version);
  base::Result<bytes::BufferList> list = writer.finish();
  ENSURE(list.has_value(), "{} v{}: {}", Message::message_name, version, list.error().text);
  Printer printer(Printer::Mode::exact);
  message.print(printer, version);
  return {flatten(*list), printer.text(), false};
}

template <class Message, std::size_t N>
Codec make_codec(const char* kind, std::int16_t api_key, const FieldFact (&facts)[N],
                 void (*randomize)(MessageRandom&, std::int16_t, Message&),
                 void (*cover)(MessageCoverage&, std::int16_t, const Message&)) {
  Codec codec;
  codec.name = Message::message_name;
  codec.kind = kind;
  codec.api_key = api_key;
  codec.version_min = Message::version_min;
  codec.version_max = Message::version_max;
  codec.flexible_min = Message::flexible_min;
  codec.facts.assign(facts, facts + N);
  codec.random = [randomize](std::uint64_t seed, Shape shape, bool unknown_tags, std::int16_t version) {
    MessageRandom random(seed, shape, unknown_tags);
    Message message;
    randomize(random, version, message);
    Sample sample = make_sample(message, version);
    sample.unknown_tags = unknown_tags;
    return sample;
  };
  codec.reencode = [cover](bytes::Bytes encoded, std::int16_t version, MessageCoverage* coverage) -> base::Result<Sample> {
    Reader reader(encoded);
    base::Result<Message> message = Message::decode(reader, version);
    if (!message) return std::unexpected(std::move(message).error());
    if (reader.left() != 0)
      return base::fail(base::ErrorKind::invalid, std::string(Message::message_name) + ": bytes left over");
    if (coverage != nullptr) cover(*coverage, version, *message);
    return make_sample(*message, version);
  };
  return codec;
}

}  // namespace weir::wire::testing
