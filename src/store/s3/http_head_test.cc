#include "store/s3/http_head.h"

#include <gtest/gtest.h>

namespace weir::store::s3 {
namespace {

TEST(ResponseHead, complete_head_with_length) {
  const std::string text =
      "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\nETag: \"x\"\r\nX-Amz-Id:  two words \r\n\r\nhello";
  for (std::size_t cut = 0; cut < text.size() - 5; ++cut) {
    const auto early = parse_response_head(std::string_view(text).substr(0, cut), false);
    ASSERT_TRUE(early) << cut;
    EXPECT_FALSE(*early) << cut;
  }
  const auto head = parse_response_head(text, false);
  ASSERT_TRUE(head && *head);
  EXPECT_EQ((*head)->status, 206);
  EXPECT_EQ((*head)->framing, Framing::length);
  EXPECT_EQ((*head)->length_bytes, 5U);
  EXPECT_TRUE((*head)->keep_alive);
  EXPECT_EQ((*head)->consumed_bytes, text.size() - 5);
  EXPECT_EQ((*head)->find("x-amz-id"), "two words");
  EXPECT_EQ((*head)->find("etag"), "\"x\"");
  EXPECT_EQ((*head)->find("missing"), std::nullopt);
}

ResponseHead parsed(const std::string& text, bool answers_head = false) {
  auto head = parse_response_head(text, answers_head);
  EXPECT_TRUE(head && *head) << text;
  return head && *head ? **head : ResponseHead{};
}

TEST(ResponseHead, framing_and_keep_alive) {
  EXPECT_EQ(parsed("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n").framing, Framing::chunked);
  const ResponseHead open = parsed("HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(open.framing, Framing::until_close);
  EXPECT_FALSE(open.keep_alive);
  EXPECT_EQ(parsed("HTTP/1.1 204 No Content\r\n\r\n").framing, Framing::none);
  EXPECT_EQ(parsed("HTTP/1.1 304\r\n\r\n").framing, Framing::none);
  const ResponseHead answer = parsed("HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\n", true);
  EXPECT_EQ(answer.framing, Framing::none);
  EXPECT_EQ(answer.length_bytes, 70U);
  EXPECT_FALSE(parsed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").keep_alive);
  EXPECT_FALSE(parsed("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").keep_alive);
  EXPECT_TRUE(parsed("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
}

TEST(ResponseHead, refuses_what_would_be_read_wrongly) {
  const char* bad[] = {
      "SSH-2.0-OpenSSH\r\n\r\n",
      "\x15\x03\x01",
      "HTTP/2 200 OK\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/1.1 2000 OK\r\n\r\n",
      "HTTP/1.1 099 OK\r\n\r\n",
      "HTTP/1.1 abc OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
      "HTTP/1.1 200 OK\r\n: empty name\r\n\r\n",
      "HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n",
      "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
      "HTTP/1.1 200 OK\r\na: x\ny\r\n\r\n",
  };
  for (const char* text : bad) EXPECT_FALSE(parse_response_head(text, false)) << text;
  EXPECT_FALSE(parse_response_head("HTTP/1.1 200 OK\r\na: " + std::string(head_bytes_max, 'x'), false)) << "endless head";
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (std::size_t i = 0; i <= header_count_max; ++i) many += "a: b\r\n";
  EXPECT_FALSE(parse_response_head(many + "\r\n", false));
}

TEST(RequestHead, parses_what_the_client_sends) {
  const auto head = parse_request_head("PUT /b/k%20x?y=z HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\n");
  ASSERT_TRUE(head && *head);
  EXPECT_EQ((*head)->method, "PUT");
  EXPECT_EQ((*head)->target, "/b/k%20x?y=z");
  EXPECT_EQ((*head)->length_bytes, 12U);
}

TEST(Chunked, any_cut_gives_the_same_body) {
  const std::string text = "5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\nNEXT";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    ChunkedDecoder decoder;
    std::string out;
    std::size_t used = 0;
    while (!decoder.done() && used < text.size()) {
      const auto count = decoder.feed(std::string_view(text).substr(used, step), &out);
      ASSERT_TRUE(count);
      used += *count;
    }
    EXPECT_TRUE(decoder.done());
    EXPECT_EQ(out, "hello world");
    EXPECT_EQ(text.substr(used), "NEXT") << step;
  }
}

TEST(Chunked, refuses_malformed_chunks) {
  for (const char* text :
       {"\r\n", "x\r\n", "5 hello", "5\nhello", "5\r\nhello!\r\n", "-1\r\n", "ffffffffffffffffff\r\n", "5\rx"}) {
    ChunkedDecoder decoder;
    std::string out;
    const auto first = decoder.feed(text, &out);
    const auto second = first ? decoder.feed("\r\n\r\n", &out) : first;
    EXPECT_FALSE(second) << text;
  }
  ChunkedDecoder decoder;
  std::string out;
  EXPECT_FALSE(decoder.feed(std::string(chunk_line_bytes_max + 1, '0'), &out));
}

}  // namespace
}  // namespace weir::store::s3
