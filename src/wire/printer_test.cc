// wire/printer_test.cc: what a log line may show of a message.
#include "wire/printer.h"

#include <gtest/gtest.h>

#include "wire/produce.h"

namespace weir::wire {
namespace {

TEST(Printer, LogModeShowsSizesAndNamesNotContents) {
  ProduceRequest request;
  request.acks = -1;
  auto& topic = request.topic_data.emplace_back();
  topic.name = "a\"b\n";
  topic.partition_data.emplace_back().records = Records(bytes::as_bytes("secret payload"));
  Printer printer;
  request.print(printer, 9);
  EXPECT_EQ(
      printer.text(),
      R"({"transactionalId":null,"acks":-1,"timeoutMs":0,"topicData":[{"name":"a\"b\u000a","partitionData":[{"index":0,"records":"14 bytes"}]}]})");
  ProduceResponse response;
  response.responses.emplace_back().partition_responses.emplace_back().error_code = model::ErrorCode::not_enough_replicas;
  Printer answer;
  response.print(answer, 3);
  EXPECT_NE(answer.text().find(R"("errorCode":"NOT_ENOUGH_REPLICAS")"), std::string::npos);
}

TEST(Printer, SecretsShowOnlyInExactMode) {
  Printer log;
  log.begin_object();
  log.key("authBytes");
  if (!log.hides_secret()) log.bytes(bytes::as_bytes("pw"));
  log.end_object();
  EXPECT_EQ(log.text(), R"({"authBytes":"hidden"})");
  Printer exact(Printer::Mode::exact);
  exact.begin_object();
  exact.key("authBytes");
  if (!exact.hides_secret()) exact.bytes(bytes::as_bytes("pw"));
  exact.end_object();
  EXPECT_EQ(exact.text(), R"({"authBytes":"cHc="})");
}

}  // namespace
}  // namespace weir::wire
