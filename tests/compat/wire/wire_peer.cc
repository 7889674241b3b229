// tests/compat/wire/wire_peer.cc: weir's side of the proof that its codec and Kafka's agree (tests/compat/wire/run).
//   generate           random and edge messages of every API and version, as lines for Kafka's side
//   check OUT FILE...  decodes and encodes each line of the files again (the bytes must not change), writes the lines with weir's
//                      JSON to OUT, and fails on any field and version of which an edge was not seen in some file
//   kinds, tables      what there is: messages with versions; APIs, header versions and error codes
// A line: message name, version, "tags" or "-", hex, JSON; tab-separated.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>

#include <fmt/core.h>

#include "model/error_code.h"
#include "wire/framing.h"
#include "wire/testing/codec.h"

namespace weir::wire::testing {
namespace {

constexpr int failures_shown_max = 20;

std::string to_hex(bytes::Bytes data) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(data.size() * 2);
  for (const std::byte byte : data) {
    text += digits[static_cast<std::size_t>(byte) >> 4U];
    text += digits[static_cast<std::size_t>(byte) & 15U];
  }
  return text;
}

std::vector<std::byte> from_hex(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::vector<std::byte> data;
  data.reserve(text.size() / 2);
  for (std::size_t at = 0; at + 1 < text.size(); at += 2)
    data.push_back(static_cast<std::byte>(digit(text[at]) * 16 + digit(text[at + 1])));
  return data;
}

void print_line(std::ostream& out, const Codec& codec, std::int16_t version, const Sample& sample) {
  out << codec.name << '\t' << version << '\t' << (sample.unknown_tags ? "tags" : "-") << '\t' << to_hex(sample.encoded) << '\t'
      << sample.json << '\n';
}

int generate() {
  for (const Codec* codec : all_codecs()) {
    for (std::int16_t version = codec->version_min; version <= codec->version_max; ++version) {
      for (const Shape shape : all_shapes) {
        for (std::uint64_t seed = 0; seed < seeds_of(shape); ++seed) {
          const bool tags = seed % 2 == 1 && version >= codec->flexible_min;
          print_line(std::cout, *codec, version, codec->random(seed, shape, tags, version));
        }
      }
    }
  }
  return std::cout.flush() ? 0 : 1;
}

struct Line {
  std::string name;
  std::int16_t version = 0;
  bool tags = false;
  std::vector<std::byte> encoded;
};

Line parse_line(const std::string& text) {
  Line line;
  const std::size_t a = text.find('\t');
  const std::size_t b = text.find('\t', a + 1);
  const std::size_t c = text.find('\t', b + 1);
  const std::size_t d = text.find('\t', c + 1);
  ENSURE(d != std::string::npos, "not a line of a peer: {}", text.substr(0, 80));
  line.name = text.substr(0, a);
  line.version = static_cast<std::int16_t>(std::stoi(text.substr(a + 1, b - a - 1)));
  line.tags = text.substr(b + 1, c - b - 1) == "tags";
  line.encoded = from_hex(std::string_view(text).substr(c + 1, d - c - 1));
  return line;
}

/// Checks one file; gives the number of failures.
int check_file(const char* path, std::ostream& out) {
  std::ifstream in(path);
  std::map<std::string, const Codec*> by_name;
  std::map<std::string, MessageCoverage> coverage;
  for (const Codec* codec : all_codecs()) by_name[codec->name] = codec;
  int failures = 0;
  std::size_t lines = 0;
  const auto report = [&](const std::string& text) {
    if (++failures <= failures_shown_max) fmt::print(stderr, "{}: {}\n", path, text.substr(0, 2000));
  };
  for (std::string text; std::getline(in, text); ++lines) {
    const Line line = parse_line(text);
    const Codec& codec = *by_name.at(line.name);
    base::Result<Sample> sample = codec.reencode(line.encoded, line.version, &coverage[line.name]);
    if (!sample) {
      report(sample.error().text + ": " + to_hex(line.encoded));
      continue;
    }
    if (sample->encoded != line.encoded) {
      report(fmt::format("{} v{}: {} becomes {}", line.name, line.version, to_hex(line.encoded), to_hex(sample->encoded)));
    }
    sample->unknown_tags = line.tags;
    print_line(out, codec, line.version, *sample);
  }
  std::size_t facts = 0;
  for (const auto& [name, codec] : by_name) {
    for (const FieldFact& fact : codec->facts) {
      for (std::int16_t version = codec->version_min; version <= codec->version_max; ++version)
        facts += fact.wanted(version) != 0 ? 1 : 0;
    }
    for (const std::string& missing : missing_coverage(*codec, coverage[name])) report(missing);
  }
  if (lines == 0) report("no messages");
  fmt::print(stderr, "weir checked {} messages of {}: {} fields by version, {} failures\n", lines, path, facts, failures);
  return failures;
}

int check(int count, char** arguments) {
  std::ofstream out(arguments[0]);
  int failures = 0;
  for (int i = 1; i < count; ++i) failures += check_file(arguments[i], out);
  return failures == 0 && out.flush() ? 0 : 1;
}

int kinds() {
  for (const Codec* codec : all_codecs()) fmt::print("{} {} {}\n", codec->name, codec->version_min, codec->version_max);
  return 0;
}

int tables() {
  for (const ApiInfo& api : api_table()) {
    const int key = static_cast<int>(api.key);
    fmt::print("api {} {} {} {} {}\n", key, api.name, api.version_min, api.version_max, api.version_max_stable);
    for (std::int16_t version = api.version_min; version <= api.version_max; ++version) {
      fmt::print("header {} {} {} {}\n", key, version, request_header_version(api, version),
                 response_header_version(api, version));
    }
  }
  for (int code = -1; !model::error_code_name(static_cast<model::ErrorCode>(code)).empty(); ++code) {
    const auto error = static_cast<model::ErrorCode>(code);
    fmt::print("error {} {} {}\n", code, model::error_code_name(error), model::is_retriable(error));
  }
  return 0;
}

}  // namespace
}  // namespace weir::wire::testing

int main(int argc, char** argv) {
  using namespace weir::wire::testing;
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "generate") return generate();
  if (what == "check" && argc > 3) return check(argc - 2, argv + 2);
  if (what == "kinds") return kinds();
  if (what == "tables") return tables();
  fmt::print(stderr, "usage: wire_peer generate|kinds|tables|check OUT FILE...\n");
  return 2;
}
