#include "checkpoint/json.h"

#include <string>

#include "check.h"

using pi05::Json;

namespace {

// The error of parsing an invalid text; empty if it is valid.
std::string parse_error(const std::string& text) {
  try {
    Json::parse(text);
    return "";
  } catch (const pi05::JsonError& error) {
    return error.what();
  }
}

}  // namespace

TEST(reads_every_kind_of_value) {
  const Json json = Json::parse(R"( {"a": [1, -2.5e3, 0, true, false, null], "b": {"c": ""}} )");
  const auto& a = json.find("a")->array();
  CHECK(a.size() == 6);
  CHECK(a[0].is_integer() && a[0].integer() == 1);
  CHECK(a[1].is_integer() && a[1].integer() == -2500);
  CHECK(a[2].integer() == 0);
  CHECK(a[3].is(Json::Type::Boolean) && a[3].boolean());
  CHECK(a[4].is(Json::Type::Boolean) && !a[4].boolean());
  CHECK(a[5].is(Json::Type::Null));
  CHECK(json.find("b")->find("c")->string().empty());
  CHECK(json.find("d") == nullptr);
  CHECK(Json::parse("[]").array().empty());
  CHECK(Json::parse("{}").object().empty());
}

TEST(reads_offsets_of_large_files_exactly) {
  CHECK(Json::parse("7470000001").integer() == 7470000001);
  CHECK(Json::parse("9007199254740991").integer() == 9007199254740991);
  CHECK(!Json::parse("9007199254740994").is_integer());
  CHECK(!Json::parse("1.5").is_integer());
  CHECK(!Json::parse("\"1\"").is_integer());
}

TEST(decodes_escapes_and_unicode) {
  CHECK(Json::parse(R"("\"\\\/\b\f\n\r\t")").string() == "\"\\/\b\f\n\r\t");
  CHECK(Json::parse(R"("\u0041\u00e9\u20AC\uD83E\uDD16")").string() == "Aé€🤖");
  CHECK(Json::parse("\"é€🤖\"").string() == "é€🤖");
}

TEST(rejects_invalid_json) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[1",
                           "[1,]",
                           "{\"a\":1,}",
                           "{a:1}",
                           "{'a':1}",
                           "[1 2]",
                           "{\"a\" 1}",
                           "01",
                           "+1",
                           "-",
                           "1.",
                           ".5",
                           "1e",
                           "1e+",
                           "NaN",
                           "Infinity",
                           "tru",
                           "nul",
                           "\"a",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\ud800\"",
                           "\"\\ud800\\u0041\"",
                           "\"\\udc00\"",
                           "\"a\nb\"",
                           "// no\n1",
                           "1 1",
                           "1e999",
                           "[1]]",
                           "{\"a\":1,\"a\":2}",
                           "\"\xff\"",
                           "\"\xc3\"",
                           "\"\xc0\x80\"",
                           "\"\xed\xa0\x80\"",
                           "\"\xf4\x90\x80\x80\""}) {
    const std::string error = parse_error(text);
    if (error.empty()) std::printf("  accepted: %s\n", text);
    CHECK(!error.empty());
  }
}

TEST(errors_name_the_byte_and_what_was_expected) {
  CHECK(parse_error("{\"a\": x}") == "expected a value at byte 6, received 'x'");
  CHECK(parse_error("[1, 2") == "expected ']' or ',' in an array at byte 5, received the end");
  CHECK(parse_error("{\"a\":1,\"a\":2}") == "expected each key once, received \"a\" again at byte 7");
}

TEST(rejects_nesting_that_is_too_deep) {
  CHECK(parse_error(std::string(60, '[') + std::string(60, ']')).empty());
  CHECK(!parse_error(std::string(100000, '[')).empty());
}

RUN_TESTS()
