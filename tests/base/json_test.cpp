#include "sdsclip/base/json.h"

#include <gtest/gtest.h>

#include <ctime>

#include "sdsclip/base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using nlohmann::ordered_json;
using testing::expect_error;

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(ParseJsonValue, KeepsTheOrderOfFields) {
  const ordered_json value =
      parse_json_value(R"({"b": [1, -2, 0.5, "x"], "a": {"c": null, "d": true}})", "f");
  EXPECT_EQ(value.dump(), R"({"b":[1,-2,0.5,"x"],"a":{"c":null,"d":true}})");
}

TEST(ParseJsonValue, NamesThePlaceOfTextThatIsNotJson) {
  for (const std::string text : {"", "{", "{\"a\": 1,}", "nothing", "{} x", "NaN", "\"\xff\"", "'a'"}) {
    expect_error(ExitCode::kInput, {"f.jsonl: line 3", "not JSON", "line 1, column"},
                 [&] { parse_json_value(text, "f.jsonl: line 3"); });
  }
}

TEST(ParseJsonValue, RefusesNestingBeyondItsLimit) {
  EXPECT_NO_THROW(parse_json_value(nested(kDeepestJson), "f.json"));
  expect_error(ExitCode::kInput, {"f.json", "nested more than 64 levels deep"},
               [] { parse_json_value(nested(kDeepestJson + 1), "f.json"); });
  std::string objects;
  for (int i = 0; i < 3000; ++i) objects += "{\"a\":";
  expect_error(ExitCode::kInput, {"f.json", "nested more than 64 levels deep"},
               [&] { parse_json_value(objects, "f.json"); });
}

TEST(ParseJsonValue, RefusesAKeyThatIsGivenTwice) {
  expect_error(ExitCode::kInput, {"f.json", "'a' is given twice"},
               [] { parse_json_value(R"({"b": {"a": 1, "c": 2, "a": 1}})", "f.json"); });
  std::string many = "{";
  for (int i = 0; i < 100; ++i) many += "\"k" + std::to_string(i) + "\": 1,";
  expect_error(ExitCode::kInput, {"'k3' is given twice"},
               [&] { parse_json_value(many + "\"k3\": 1}", "f.json"); });
  expect_error(ExitCode::kInput, {"'k99' is given twice"},
               [&] { parse_json_value(many + "\"k99\": 1}", "f.json"); });
}

TEST(ParseJsonValue, TakesTimeInProportionToTheNumberOfKeys) {
  std::string many = "{";
  for (int i = 0; i < 200'000; ++i) many += "\"k" + std::to_string(i) + "\": 1,";
  const std::clock_t start = std::clock();
  EXPECT_EQ(parse_json_value(many + "\"last\": 1}", "f.json").size(), 200'001U);
  EXPECT_LT(std::clock() - start, 5 * CLOCKS_PER_SEC);  // a look-up per key along the others takes minutes
}

TEST(ParseJsonValue, RefusesANumberOutsideDoublesRange) {
  expect_error(ExitCode::kInput, {"f.json", "1e999"}, [] { parse_json_value("[1e999]", "f.json"); });
}

TEST(ParseJsonValue, QuotesALongTokenInPart) {
  try {
    parse_json_value("[\"" + std::string(1 << 20, 'a'), "f.json");
    FAIL();
  } catch (const Error& error) {
    EXPECT_LT(std::string(error.what()).size(), 5000U);
    EXPECT_EQ(std::string(error.what()).find("f.json: not JSON"), 0U);
  }
}

TEST(ReadJsonFile, RefusesAFileBeyondTheSizeAskedFor) {
  const testing::TemporaryFolder folder;
  write_file_atomically(folder / "a.json", "[1, 2, 3]");
  EXPECT_EQ(read_json_file(folder / "a.json", 9).size(), 3U);
  expect_error(ExitCode::kInput, {"a.json", "more than 8 bytes"},
               [&] { read_json_file(folder / "a.json", 8); });
}

class JsonRecordTest : public ::testing::Test {
 protected:
  ordered_json value_ = parse_json_value(
      R"({"text": "a", "empty": "", "whole": 3, "fraction": 3.7, "true": true, "large": 9223372036854775808,
          "huge": 92233720368547758080, "negative": -1, "pair": [1, 0.5], "mixed": [1, "x"], "child": {"a": 1.5}})",
      "f.json");
  JsonRecord record_{value_, "f.json"};
};

TEST_F(JsonRecordTest, ReturnsTheFields) {
  EXPECT_EQ(record_.text("text"), "a");
  EXPECT_EQ(record_.any_text("empty"), "");
  EXPECT_EQ(record_.count("whole"), 3);
  EXPECT_EQ(record_.identifier("negative"), -1);
  EXPECT_EQ(record_.number("whole"), 3.0);
  EXPECT_EQ(record_.number("fraction"), 3.7);
  EXPECT_EQ(record_.numbers("pair", 2), (std::vector<double>{1, 0.5}));
  EXPECT_EQ(record_.child("child").number("a"), 1.5);
}

TEST_F(JsonRecordTest, ConvertsNoKindToAnother) {
  for (const char* key : {"fraction", "true", "text", "large", "huge", "pair"}) {
    expect_error(ExitCode::kInput, {"f.json", key, "expected a whole number"},
                 [&] { static_cast<void>(record_.count(key)); });
    expect_error(ExitCode::kInput, {"f.json", key}, [&] { static_cast<void>(record_.integer(key, 0)); });
  }
  expect_error(ExitCode::kInput, {"negative", "-1", "0 or more"},
               [&] { static_cast<void>(record_.count("negative")); });
  expect_error(ExitCode::kInput, {"true", "expected a number"},
               [&] { static_cast<void>(record_.number("true")); });
  expect_error(ExitCode::kInput, {"mixed", "a text"},
               [&] { static_cast<void>(record_.numbers("mixed", 2)); });
  expect_error(ExitCode::kInput, {"pair", "2 numbers", "3"},
               [&] { static_cast<void>(record_.numbers("pair", 3)); });
  expect_error(ExitCode::kInput, {"'gone' is missing"}, [&] { static_cast<void>(record_.number("gone")); });
  expect_error(ExitCode::kInput, {"f.json.child", "'b' is missing"},
               [&] { static_cast<void>(record_.child("child").number("b")); });
  expect_error(ExitCode::kInput, {"f.json.text", "expected an object"},
               [&] { static_cast<void>(record_.child("text")); });
}

}  // namespace
}  // namespace sdsclip
