// wire/messages_test.cc: every generated message, in every version: round trips, truncation, damage, and what the tests have seen.
#include <fstream>

#include <gtest/gtest.h>

#include "wire/testing/codec.h"
#include "wire/testing/fuzz_message.h"

namespace weir::wire::testing {
namespace {

constexpr std::size_t truncations_max = 400;

template <class Visit>
void for_each_sample(const Codec& codec, Visit visit) {
  for (std::int16_t version = codec.version_min; version <= codec.version_max; ++version) {
    for (const Shape shape : all_shapes) {
      for (std::uint64_t seed = 0; seed < seeds_of(shape) && !::testing::Test::HasFailure(); ++seed) {
        visit(version, codec.random(seed, shape, seed % 2 == 1, version));
      }
    }
  }
}

std::string bytes_of(const std::vector<std::byte>& data) { return std::string(bytes::as_text(data)); }

TEST(Messages, RandomOnesRoundTripAndAllEdgesAreSeen) {
  for (const Codec* codec : all_codecs()) {
    MessageCoverage coverage;
    for_each_sample(*codec, [&](std::int16_t version, const Sample& sample) {
      const base::Result<Sample> again = codec->reencode(sample.encoded, version, &coverage);
      ASSERT_TRUE(again.has_value()) << again.error().text << "\n" << sample.json;
      EXPECT_EQ(bytes_of(again->encoded), bytes_of(sample.encoded)) << codec->name << " v" << version;
      EXPECT_EQ(again->json, sample.json) << codec->name << " v" << version;
    });
    EXPECT_EQ(missing_coverage(*codec, coverage), std::vector<std::string>{});
  }
}

TEST(Messages, ACoverageHoleIsReported) {
  const Codec& codec = *all_codecs().front();
  EXPECT_FALSE(missing_coverage(codec, MessageCoverage{}).empty());
}

TEST(Messages, EveryTruncationIsRefused) {
  for (const Codec* codec : all_codecs()) {
    for (std::int16_t version = codec->version_min; version <= codec->version_max; ++version) {
      const Sample sample = codec->random(5, Shape::mixed, true, version);
      const std::size_t step = 1 + sample.encoded.size() / truncations_max;
      for (std::size_t size = 0; size < sample.encoded.size(); size += step) {
        const bytes::Bytes part = bytes::Bytes(sample.encoded).first(size);
        const base::Result<Sample> result = codec->reencode(part, version, nullptr);
        ASSERT_FALSE(result.has_value()) << codec->name << " v" << version << " of " << size << " bytes";
        ASSERT_EQ(result.error().kind, base::ErrorKind::invalid);
      }
    }
  }
}

TEST(Messages, DamagedOnesAreRefusedOrStayStable) {
  constexpr int damages = 40;
  std::size_t decoded = 0;
  std::size_t refused = 0;
  const std::vector<const Codec*> codecs = all_codecs();
  for (std::size_t index = 0; index < codecs.size(); ++index) {
    const Codec& codec = *codecs[index];
    for (std::int16_t version = codec.version_min; version <= codec.version_max; ++version) {
      MessageRandom random(index * 1000 + static_cast<std::uint64_t>(version), Shape::mixed, false);
      for (int round = 0; round < damages; ++round) {
        Sample sample = codec.random(random.next(), Shape::mixed, true, version);
        std::vector<std::byte> input{static_cast<std::byte>(index), static_cast<std::byte>(version - codec.version_min)};
        for (std::uint64_t hits = 1 + random.below(3); hits > 0 && !sample.encoded.empty(); --hits) {
          sample.encoded[random.below(sample.encoded.size())] = static_cast<std::byte>(random.next());
        }
        input.insert(input.end(), sample.encoded.begin(), sample.encoded.end());
        ++(fuzz_message(input) ? decoded : refused);
      }
    }
  }
  EXPECT_GT(decoded, 0U);
  EXPECT_GT(refused, 0U);
}

/// testdata/corpus.txt: "HEX  # what it is" per line, an input of the fuzzer each; inputs that once found something stay here.
TEST(Messages, CorpusReplays) {
  std::ifstream file(std::string(WEIR_ROOM_DIR) + "/testdata/corpus.txt");
  ASSERT_TRUE(file.is_open());
  std::size_t inputs = 0;
  for (std::string line; std::getline(file, line);) {
    std::vector<std::byte> input;
    for (std::size_t at = 0; at + 1 < line.size() && line[at] != '#'; at += 2) {
      while (at < line.size() && line[at] == ' ') ++at;
      if (at + 1 >= line.size() || line[at] == '#') break;
      input.push_back(static_cast<std::byte>(std::stoi(line.substr(at, 2), nullptr, 16)));
    }
    if (input.empty()) continue;
    ++inputs;
    (void)fuzz_message(input);
  }
  EXPECT_GE(inputs, 8U);
}

}  // namespace
}  // namespace weir::wire::testing
