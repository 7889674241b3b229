// cli/storage.cc: weir storage inspect and where: what lies in a file, and where one offset lies.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <vector>

#include <fmt/core.h>

#include "bytes/buffer.h"
#include "cli/commands.h"
#include "cli/machine.h"
#include "cli/output.h"
#include "object/format.h"
#include "object/manifest.h"
#include "runtime/real.h"
#include "wal/format.h"

namespace weir::cli {
namespace {

using runtime::Task;

constexpr std::size_t identity_offset_bytes = 8;  // cluster and object id in a footer's head, behind magic and version

base::Result<std::vector<std::byte>> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return base::fail(base::ErrorKind::not_found, fmt::format("{}: cannot be read", path));
  std::vector<std::byte> data(static_cast<std::size_t>(file.tellg()));
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size()))) {
    return base::fail(base::ErrorKind::io, fmt::format("{}: cannot be read to its end", path));
  }
  return data;
}

int inspect_object(const Common& common, bytes::Bytes data) {
  auto place = object::parse_trailer(data.last(object::footer_trailer_bytes));
  if (!place) {
    tell_error(place.error().text);
    return exit_failed;
  }
  if (place->position > data.size() || place->size_bytes > data.size() - place->position ||
      place->size_bytes < identity_offset_bytes + 32) {
    tell_error("the trailer names a footer outside the file");
    return exit_failed;
  }
  const bytes::Bytes footer_bytes = data.subspan(place->position, place->size_bytes);
  // A file by itself cannot be foreign: its own identity is what its checksums are judged by.
  object::Identity identity;
  std::copy_n(reinterpret_cast<const std::uint8_t*>(footer_bytes.data()) + identity_offset_bytes, 16,
              identity.cluster.bytes.begin());
  std::copy_n(reinterpret_cast<const std::uint8_t*>(footer_bytes.data()) + identity_offset_bytes + 16, 16,
              identity.object.bytes.begin());
  auto footer = object::parse_footer(footer_bytes, place->position, identity);
  if (!footer) {
    tell_error(footer.error().text);
    return exit_failed;
  }
  int code = exit_done;
  std::string rows;
  for (const object::PartitionEntry& entry : footer->entries) {
    std::size_t bad = 0;
    for (const object::BlockRef& block : entry.blocks) {
      const std::uint64_t size = object::block_header_bytes + std::uint64_t{block.payload_bytes};
      const bool inside = block.position <= data.size() && size <= data.size() - block.position;
      const auto verified =
          inside ? object::verify_block(data.subspan(block.position, size), identity, entry.partition, block)
                 : base::Result<bytes::Bytes>(base::fail(base::ErrorKind::corrupt, "the block lies outside the file"));
      if (!verified) {
        ++bad;
        code = exit_failed;
        tell_error(fmt::format("block at {}: {}", block.position, verified.error().text));
      }
    }
    if (common.json) {
      rows += fmt::format(
          R"({}{{"topic_id":{},"partition":{},"base_offset":{},"end_offset":{},"bytes":{},"blocks":{},"damaged_blocks":{}}})",
          rows.empty() ? "" : ",", json_string(entry.partition.topic.to_string()), entry.partition.partition.value(),
          entry.base_offset.value(), entry.end_offset.value(), entry.payload_bytes, entry.blocks.size(), bad);
    } else {
      rows += fmt::format("{} {} {} {} {} {} {}\n", entry.partition.topic.to_string(), entry.partition.partition.value(),
                          entry.base_offset.value(), entry.end_offset.value(), entry.payload_bytes, entry.blocks.size(), bad);
    }
  }
  if (common.json) {
    std::puts(fmt::format(R"({{"kind":"object","cluster":{},"object":{},"session":{},"commit":{},"partitions":[{}]}})",
                          json_string(identity.cluster.to_string()), json_string(identity.object.to_string()),
                          json_string(footer->session.to_string()), footer->commit.value(), rows)
                  .c_str());
  } else {
    std::fputs(fmt::format("object {} of cluster {}, session {}, commit {}\nTOPIC_ID PARTITION BASE_OFFSET END_OFFSET BYTES "
                           "BLOCKS DAMAGED\n{}",
                           identity.object.to_string(), identity.cluster.to_string(), footer->session.to_string(),
                           footer->commit.value(), rows)
                   .c_str(),
               stdout);
  }
  return code;
}

// A page object of a manifest. As with objects, its own identity is what its checksums are judged by.
int inspect_manifest(const Common& common, bytes::Bytes data, object::PagePlace place) {
  const bool inside = place.position <= data.size() && place.size_bytes <= data.size() - place.position;
  const auto claim =
      inside
          ? object::claim_of(data.subspan(place.position, place.size_bytes))
          : base::Result<object::PageClaim>(base::fail(base::ErrorKind::corrupt, "the trailer names a root outside the file"));
  if (!claim) {
    tell_error(claim.error().text);
    return exit_failed;
  }
  place.page.id = claim->page;
  const auto root = object::parse_root(data.subspan(place.position, place.size_bytes), place, claim->identity);
  if (!root) {
    tell_error(root.error().text);
    return exit_failed;
  }
  int code = exit_done;
  std::string rows;
  for (const object::LeafRef& ref : root->leaves) {
    const bool here = ref.page.id == claim->page;
    bool damaged = false;
    if (here) {
      const bool whole = ref.position <= data.size() && ref.size_bytes <= data.size() - ref.position;
      damaged = !whole || !object::parse_leaf(data.subspan(ref.position, ref.size_bytes), ref, claim->identity);
      if (damaged) {
        code = exit_failed;
        tell_error(fmt::format("the leaf at {} is damaged", ref.position));
      }
    }
    const std::string key = object::format_object_key(ref.page.key(claim->identity));
    if (common.json) {
      rows += fmt::format(R"({}{{"base_offset":{},"end_offset":{},"objects":{},"bytes":{},"page":{},"here":{},"damaged":{}}})",
                          rows.empty() ? "" : ",", ref.base_offset.value(), ref.end_offset.value(), ref.entry_count,
                          ref.payload_bytes, json_string(key), here, damaged);
    } else {
      rows += fmt::format("{} {} {} {} {} {}\n", ref.base_offset.value(), ref.end_offset.value(), ref.entry_count,
                          ref.payload_bytes, key,
                          damaged ? "DAMAGED"
                          : here  ? "here"
                                  : "elsewhere");
    }
  }
  const model::TopicPartition& partition = claim->identity.partition;
  if (common.json) {
    std::puts(fmt::format(R"({{"kind":"manifest","cluster":{},"topic_id":{},"partition":{},"sequence":{},"covers_to":{},)"
                          R"("producers":{},"leaves":[{}]}})",
                          json_string(claim->identity.cluster.to_string()), json_string(partition.topic.to_string()),
                          partition.partition.value(), root->sequence, root->covers_to.value(), root->producers.size(), rows)
                  .c_str());
  } else {
    std::fputs(fmt::format("manifest {} of topic {} partition {}, cluster {}: covers up to {}, {} producers\nBASE_OFFSET "
                           "END_OFFSET OBJECTS BYTES PAGE STATE\n{}",
                           root->sequence, partition.topic.to_string(), partition.partition.value(),
                           claim->identity.cluster.to_string(), root->covers_to.value(), root->producers.size(), rows)
                   .c_str(),
               stdout);
  }
  return code;
}

int inspect_segment(const Common& common, bytes::Bytes data, const wal::SegmentHeader& header) {
  std::string rows;
  std::size_t valid = 0;
  std::size_t torn = 0;
  std::uint64_t record_count = 0;
  const wal::ExamineContext context{
      .identity = header.identity, .segment = header.segment, .segment_bytes = header.segment_bytes};
  for (std::size_t position = wal::block_bytes; position + wal::block_bytes <= data.size();) {
    const wal::ExaminedGroup group = wal::examine_group(data.subspan(position), context, static_cast<std::uint32_t>(position));
    if (group.state == wal::GroupState::torn) ++torn;
    if (group.state != wal::GroupState::valid) {
      position += wal::block_bytes;
      continue;
    }
    ++valid;
    record_count += group.records.size();
    if (common.json) {
      rows += fmt::format(R"({}{{"position":{},"lsn":{},"bytes":{},"records":{},"statements":{}}})", rows.empty() ? "" : ",",
                          position, group.header.lsn.value(), group.header.total_bytes, group.records.size(),
                          group.statements.size());
    } else {
      rows += fmt::format("{} {} {} {} {}\n", position, group.header.lsn.value(), group.header.total_bytes,
                          group.records.size(), group.statements.size());
    }
    position += group.header.total_bytes;
  }
  if (common.json) {
    std::puts(
        fmt::format(
            R"({{"kind":"wal_segment","cluster":{},"session":{},"segment":{},"valid_groups":{},"torn_groups":{},"records":{},"groups":[{}]}})",
            json_string(header.identity.cluster.to_string()), json_string(header.identity.session.to_string()), header.segment,
            valid, torn, record_count, rows)
            .c_str());
  } else {
    std::fputs(fmt::format("WAL segment {} of session {}, cluster {}: {} groups, {} torn, {} records\nPOSITION LSN BYTES "
                           "RECORDS STATEMENTS\n{}",
                           header.segment, header.identity.session.to_string(), header.identity.cluster.to_string(), valid,
                           torn, record_count, rows)
                   .c_str(),
               stdout);
  }
  return exit_done;
}

struct PlaceName {
  std::string topic;
  std::string partition;
  std::string offset;
};

// TOPIC/P@OFFSET
base::Result<PlaceName> parse_place(const std::string& text) {
  const std::size_t at = text.rfind('@');
  const std::size_t slash = text.rfind('/', at);
  const auto is_number = [](const std::string& part) {
    return !part.empty() && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
  };
  if (at != std::string::npos && slash != std::string::npos && slash > 0) {
    PlaceName place{
        .topic = text.substr(0, slash), .partition = text.substr(slash + 1, at - slash - 1), .offset = text.substr(at + 1)};
    if (is_number(place.partition) && is_number(place.offset)) return place;
  }
  return base::fail(base::ErrorKind::invalid, fmt::format("'{}': write TOPIC/PARTITION@OFFSET", text));
}

Task<base::Result<std::string>> http_get(runtime::Network& network, HostPort address, std::string target) {
  const base::MonoTime deadline = runtime::Reactor::current().now() + std::chrono::seconds(30);
  auto stream = co_await network.connect({.host = address.host, .port = address.port}, std::nullopt, deadline);
  if (!stream) co_return std::unexpected(stream.error());
  const std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", target, address.host);
  auto sent = co_await (*stream)->write({bytes::as_bytes(request)}, deadline);
  std::string answer;
  while (sent) {
    std::array<std::byte, 4096> piece{};
    auto count = co_await (*stream)->read_some(piece, deadline);
    if (!count || *count == 0) break;
    answer.append(reinterpret_cast<const char*>(piece.data()), *count);
  }
  (*stream)->close();
  const std::size_t body = answer.find("\r\n\r\n");
  if (body == std::string::npos) co_return base::fail(base::ErrorKind::io, "the admin listener gave no answer");
  const std::string text = answer.substr(body + 4);
  if (!answer.starts_with("HTTP/1.1 200")) co_return base::fail(base::ErrorKind::not_found, text.substr(0, text.find('\n')));
  co_return text;
}

}  // namespace

int storage_inspect(const Common& common, const std::string& path) {
  auto data = read_file(path);
  if (!data) {
    tell_error(data.error().text);
    return exit_failed;
  }
  if (data->size() >= wal::block_bytes) {
    if (auto segment = wal::decode_segment_header(bytes::Bytes(*data).first(wal::block_bytes)))
      return inspect_segment(common, *data, *segment);
  }
  if (data->size() >= object::page_trailer_bytes) {
    if (const auto root = object::parse_page_trailer(bytes::Bytes(*data).last(object::page_trailer_bytes), {}))
      return inspect_manifest(common, *data, *root);
  }
  if (data->size() >= object::object_header_bytes + object::footer_trailer_bytes) return inspect_object(common, *data);
  tell_error(fmt::format("{} is neither an object nor a manifest nor a WAL segment", path));
  return exit_failed;
}

int storage_where(const Common& common, const std::string& place, const std::string& admin) {
  auto name = parse_place(place);
  auto address = first_address(admin);
  if (!name || !address) {
    tell_error(!name ? name.error().text : address.error().text);
    return exit_usage;
  }
  const auto real = command_machine();
  if (real == nullptr) return exit_failed;
  const std::string target = fmt::format("/v1/storage/where?topic={}&partition={}&offset={}&format={}", name->topic,
                                         name->partition, name->offset, common.json ? "json" : "text");
  runtime::Network* network = real->doors().network;
  auto answer = real->run_on_shard0([network, &address, &target] { return http_get(*network, *address, target); });
  if (!answer) {
    tell_error(answer.error().text);
    return exit_failed;
  }
  std::fputs(answer->c_str(), stdout);
  return exit_done;
}

}  // namespace weir::cli
