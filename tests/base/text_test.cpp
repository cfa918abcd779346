#include "sdsclip/base/text.h"

#include <gtest/gtest.h>

namespace sdsclip {
namespace {

TEST(Nearest, FindsASlipOfTheKeyboard) {
  const std::vector<std::string> known = {"lambda", "noising", "reduction"};
  EXPECT_EQ(nearest("lamda", known), "lambda");
  EXPECT_EQ(nearest("nosiing", known), "noising");
  EXPECT_EQ(nearest("redaction", known), "reduction");
}

TEST(Nearest, SuggestsNothingForAnotherWord) {
  const std::vector<std::string> known = {"lambda", "noising"};
  EXPECT_EQ(nearest("workers", known), "");
  EXPECT_EQ(did_you_mean("workers", known), "");
}

TEST(Split, KeepsEmptyPieces) {
  EXPECT_EQ(split("a..b", '.'), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(split("", '.'), (std::vector<std::string>{""}));
}

}  // namespace
}  // namespace sdsclip
