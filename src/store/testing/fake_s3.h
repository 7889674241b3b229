// store/testing/fake_s3.h: an S3 server in process: AWS's semantics of conditional puts, signatures checked, faults on demand.
// Contract:   lives on one reactor. A put is applied at one instant (the end of its body), so If-None-Match has exactly one
// winner.
//             Every request must be signed with the keys of FakeS3Options, every x-amz- header among the signed ones; a stated
//             CRC-32C, SHA-256 or Content-MD5 must fit the body. `plan` sees each request before it is handled and chooses a
//             fault. What is carried out or refused is counted by kind; faults that are not applied are not.
// Tests:      store/s3_test.cc
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "store/s3/sigv4.h"
#include "store/testing/http_server.h"

namespace weir::store::testing {

struct FakeS3Options {
  std::string bucket = "test-bucket";
  std::string region = "us-east-1";
  s3::Credentials keys{.access_key_id = "FAKEKEY", .secret_access_key = "fakesecret", .session_token = {}, .source = "test"};
  std::int64_t clock_ahead_ms = 0;  ///< of the server's clock
  bool packed = false;              ///< objects are kept compressed: many GB of records that repeat one another fit in memory
  bool control = false;             ///< GET /-/counts gives RequestCounts as JSON; PUT /-/get-bandwidth/N sets the limit below
  std::uint64_t get_bytes_per_second = 0;  ///< of GET answers' bodies, all connections together; 0: no limit
};

/// What a provider would bill, and bodies' bytes.
struct RequestCounts {
  std::uint64_t puts = 0;
  std::uint64_t gets = 0;
  std::uint64_t heads = 0;
  std::uint64_t lists = 0;
  std::uint64_t removals = 0;  ///< DeleteObjects, each of many keys
  std::uint64_t others = 0;
  std::uint64_t put_bytes = 0;
  std::uint64_t get_bytes = 0;
};

/// What goes wrong with one request; the default is nothing.
struct Fault {
  base::Duration delay{};  ///< before it is handled
  int status = 0;          ///< answer this instead, with `code` in an error document
  std::string code;
  std::string message;
  std::vector<s3::Header> headers;
  bool apply = false;                          ///< with status, reset or hang: the request is carried out first
  bool reset = false;                          ///< close without an answer
  bool hang = false;                           ///< never answer
  bool chunked = false;                        ///< answer in chunks
  bool close_after = false;                    ///< answer, then close
  bool flip_bit = false;                       ///< damage the answer's body
  std::optional<std::size_t> cut_after_bytes;  ///< of the answer
  std::vector<std::pair<std::string, std::string>> removal_errors;  ///< (key, code) in a DeleteObjects answer; these keys stay
};

class FakeS3 {
 public:
  FakeS3(runtime::Network* network, FakeS3Options options);
  /// Before start(), or at any time on the reactor. `request_number` counts from 1.
  std::function<Fault(const s3::RequestHead& head, std::uint64_t request_number)> plan;
  runtime::Task<base::Result<void>> start(std::optional<runtime::TlsServerOptions> tls = std::nullopt) {
    return server_.start(std::move(tls));
  }
  runtime::Task<void> stop() { return server_.stop(); }
  [[nodiscard]] runtime::Address address() const { return server_.address(); }
  [[nodiscard]] std::uint64_t request_count() const { return request_count_; }
  [[nodiscard]] std::uint64_t connection_count() const { return server_.connection_count(); }
  [[nodiscard]] std::size_t object_count() const { return objects_.size(); }
  [[nodiscard]] const RequestCounts& counts() const { return counts_; }
  /// Of all objects' bodies as they are kept.
  [[nodiscard]] std::uint64_t kept_bytes() const { return kept_bytes_; }
  [[nodiscard]] std::size_t put_count(const std::string& key) const {
    return puts_applied_.contains(key) ? puts_applied_.at(key) : 0;
  }
  void close_connections() { server_.close_connections(); }
  /// As another client does.
  void store(const std::string& key, std::string_view body);
  /// Uploads in parts that are under way.
  [[nodiscard]] std::size_t upload_count() const { return uploads_.size(); }
  FakeS3Options& options() { return options_; }

 private:
  struct Object {
    bytes::Buffer body;                 ///< not packed
    std::vector<bytes::Buffer> pieces;  ///< packed: each of packed_piece_bytes before, the last of the rest
    std::uint64_t size_bytes = 0;
    std::vector<s3::Header> metadata;
    std::string checksum;
    std::int64_t modified_ms = 0;
  };
  struct Upload {
    std::string key;
    std::int64_t begun_ms = 0;
    std::map<std::uint32_t, bytes::Buffer> parts;  ///< by number
  };
  struct Target {
    std::string bucket;
    std::string key;
    std::map<std::string, std::string> query;
    std::string raw_path;
  };
  runtime::Task<ServedReply> handle(ServedRequest request);
  ServedReply dispatch(const ServedRequest& request, const Fault& fault);
  [[nodiscard]] std::optional<ServedReply> control(const s3::RequestHead& head);
  void count(const s3::RequestHead& head, std::size_t body_bytes);
  [[nodiscard]] base::Duration turn_of(std::size_t body_bytes);
  [[nodiscard]] Object make_object(const bytes::Buffer& body) const;
  [[nodiscard]] static bytes::Buffer bytes_of(const Object& object, std::uint64_t begin, std::uint64_t end);
  [[nodiscard]] static std::uint64_t kept_bytes_of(const Object& object);
  void keep(const std::string& key, Object object);
  void drop(const std::string& key);
  [[nodiscard]] Target target_of(const s3::RequestHead& head) const;
  [[nodiscard]] std::optional<ServedReply> check_signature(const ServedRequest& request, const Target& target) const;
  ServedReply put(const ServedRequest& request, const Target& target);
  ServedReply get(const ServedRequest& request, const Target& target);
  ServedReply list(const Target& target);
  ServedReply remove_many(const ServedRequest& request, const Fault& fault);
  ServedReply begin_upload(const Target& target);
  ServedReply put_part(const ServedRequest& request, const Target& target);
  ServedReply complete_upload(const ServedRequest& request, const Target& target);
  ServedReply abort_upload(const Target& target);
  ServedReply list_uploads(const Target& target);
  [[nodiscard]] ServedReply error(int status, std::string_view code, std::string_view message = {}) const;
  [[nodiscard]] std::int64_t now_ms() const;

  FakeS3Options options_;
  HttpServer server_;
  std::map<std::string, Object> objects_;
  std::map<std::string, std::size_t> puts_applied_;
  std::map<std::string, Upload> uploads_;  ///< by id
  std::uint64_t uploads_begun_ = 0;
  std::uint64_t request_count_ = 0;
  RequestCounts counts_;
  std::uint64_t kept_bytes_ = 0;
  base::MonoTime free_at_{};  ///< when the GET answers so far have gone out at the limit
};

}  // namespace weir::store::testing
