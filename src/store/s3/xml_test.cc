#include "store/s3/xml.h"

#include <gtest/gtest.h>

namespace weir::store::s3 {
namespace {

TEST(S3Xml, list) {
  const auto list = parse_list(R"(<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix/><KeyCount>2</KeyCount>
<MaxKeys>2</MaxKeys><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>
<Contents><Key>a&amp;b&#x3c;</Key><LastModified>2009-10-12T17:50:30.123Z</LastModified><ETag>&quot;x&quot;</ETag><Size>434234</Size></Contents>
<Contents><Key>b c</Key><LastModified>2009-10-12T17:50:30Z</LastModified><Size>0</Size><StorageClass>STANDARD</StorageClass></Contents>
</ListBucketResult>)");
  ASSERT_TRUE(list);
  EXPECT_TRUE(list->truncated);
  ASSERT_EQ(list->objects.size(), 2U);
  EXPECT_EQ(list->objects[0].key, "a&b<");
  EXPECT_EQ(list->objects[0].size_bytes, 434234U);
  EXPECT_EQ(list->objects[0].modified_ms, 1255369830123);
  EXPECT_EQ(list->objects[1].key, "b c");
}

TEST(S3Xml, list_that_cannot_be_trusted) {
  for (const char* text :
       {"", "<html>", "<Other/>", "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><Size>x</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><LastModified>2009-10-12T17:50:30Z</LastModified><Size>-1</Size></Contents></"
        "ListBucketResult>",
        "<ListBucketResult><Contents><Key>b</Key><LastModified>2009-10-12T17:50:30Z</LastModified><Size>1</Size></Contents>"
        "<Contents><Key>a</Key><LastModified>2009-10-12T17:50:30Z</LastModified><Size>1</Size></Contents></"
        "ListBucketResult>"}) {
    const auto list = parse_list(text);
    ASSERT_FALSE(list) << text;
    EXPECT_EQ(list.error().kind, base::ErrorKind::corrupt);
  }
}

TEST(S3Xml, errors) {
  const ErrorDocument error = parse_error(
      "<?xml version=\"1.0\"?><Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong "
      "region</Message><Region>eu-west-1</Region></Error>");
  EXPECT_EQ(error.code, "AuthorizationHeaderMalformed");
  EXPECT_EQ(error.message, "wrong region");
  EXPECT_EQ(error.region, "eu-west-1");
  EXPECT_EQ(
      parse_error("<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code></Error></ErrorResponse>").code,
      "ExpiredTokenException");
  EXPECT_EQ(parse_error("<html><body>502 Bad Gateway</body></html>").code, "");
  EXPECT_EQ(parse_error("upstream connect error").code, "");
}

TEST(S3Xml, removal) {
  EXPECT_EQ(delete_request({"a&b", "<c>"}),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Delete "
            "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>"
            "<Object><Key>a&amp;b</Key></Object><Object><Key>&lt;c&gt;</Key></Object></Delete>");
  const auto none = parse_delete_result("<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></DeleteResult>");
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
  const auto one = parse_delete_result(
      "<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error></"
      "DeleteResult>");
  ASSERT_TRUE(one);
  ASSERT_EQ(one->size(), 1U);
  EXPECT_EQ(one->front().key, "b");
  EXPECT_EQ(one->front().code, "AccessDenied");
  EXPECT_FALSE(parse_delete_result("<Error/>"));
}

TEST(S3Xml, uploads) {
  EXPECT_EQ(*parse_begun_upload("<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"),
            "u1");
  EXPECT_FALSE(parse_begun_upload("<InitiateMultipartUploadResult><UploadId></UploadId></InitiateMultipartUploadResult>"));
  const std::string upload =
      "<Upload><Key>a&amp;b</Key><UploadId>u1</UploadId><Initiated>2010-11-10T20:48:33.000Z</Initiated></Upload>";
  const auto page = parse_uploads(
      "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>a&amp;b</NextKeyMarker>"
      "<NextUploadIdMarker>u1</NextUploadIdMarker>" +
      upload + "</ListMultipartUploadsResult>");
  ASSERT_TRUE(page);
  ASSERT_EQ(page->uploads.size(), 1U);
  EXPECT_EQ(page->uploads.front().key, "a&b");
  EXPECT_EQ(page->uploads.front().begun_ms, 1289422113000);
  EXPECT_EQ(page->next_key, "a&b");
  EXPECT_EQ(page->next_id, "u1");
  const auto last = parse_uploads("<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>");
  ASSERT_TRUE(last);
  EXPECT_TRUE(last->uploads.empty() && last->next_key.empty());
  for (const char* text :
       {"", "<ListBucketResult/>", "<ListMultipartUploadsResult><Upload><Key>k</Key></Upload></ListMultipartUploadsResult>",
        "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>"}) {
    EXPECT_FALSE(parse_uploads(text)) << text;
  }
  EXPECT_TRUE(parse_completed_upload("<CompleteMultipartUploadResult><Key>k</Key></CompleteMultipartUploadResult>"));
  const auto failed = parse_completed_upload("<Error><Code>InternalError</Code><Message>later</Message></Error>");
  EXPECT_FALSE(failed);
  if (!failed) EXPECT_EQ(failed.error().kind, base::ErrorKind::retry);
  EXPECT_FALSE(parse_completed_upload("<html/>"));
}

TEST(S3Xml, assumed_role) {
  const auto keys = parse_assumed_role(
      "<AssumeRoleWithWebIdentityResponse "
      "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult><Credentials>"
      "<SessionToken>tok</SessionToken><SecretAccessKey>sec</SecretAccessKey><Expiration>2026-11-24T19:00:00Z</"
      "Expiration><AccessKeyId>ASIA</AccessKeyId>"
      "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>");
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->access_key_id, "ASIA");
  EXPECT_EQ(keys->session_token, "tok");
  EXPECT_EQ(keys->expires_ms, 1795546800000);
  EXPECT_FALSE(parse_assumed_role("<AssumeRoleWithWebIdentityResponse/>"));
}

TEST(S3Xml, times) {
  EXPECT_EQ(parse_http_date_ms("Fri, 24 May 2013 00:00:00 GMT"), 1369353600000);
  for (const char* text : {"", "Fri, 24 Mai 2013 00:00:00 GMT", "Fri, 31 Feb 2013 00:00:00 GMT",
                           "Fri, 24 May 2013 24:00:00 GMT", "Friday, 24-May-13 00:00:00 GMT"}) {
    EXPECT_EQ(parse_http_date_ms(text), -1) << text;
  }
  EXPECT_EQ(parse_iso_time_ms("2013-05-24T00:00:00.5Z"), 1369353600500);
  for (const char* text :
       {"", "2013-05-24", "2013-05-24T00:00:00", "2013-13-24T00:00:00Z", "2013-05-24T00:00:00.Zz", "2013-05-24T00:00:00xZ"}) {
    EXPECT_EQ(parse_iso_time_ms(text), -1) << text;
  }
}

}  // namespace
}  // namespace weir::store::s3
