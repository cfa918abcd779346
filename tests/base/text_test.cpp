#include "sdsclip/base/text.h"

#include <gtest/gtest.h>

#include "sdsclip/base/error.h"

namespace sdsclip {
namespace {

TEST(Nearest, FindsATypingError) {
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

TEST(TerminalText, KeepsLettersOfEveryScript) {
  const std::string text = "caf\u00e9 \u732b \u05d7\u05ea\u05d5\u05dc \U0001f408 \\ '\"";
  EXPECT_EQ(terminal_text(text), text);
}

TEST(TerminalText, EscapesTerminalControls) {
  EXPECT_EQ(terminal_text("a\x1b[31mb\a\t\n\x7f"), "a\\x1b[31mb\\x07\\x09\\x0a\\x7f");
  EXPECT_EQ(terminal_text("\u009b31m"), "\\u009b31m");  // the one-letter form of ESC [
  EXPECT_EQ(terminal_text("\u202egpj.\u2066x\u2028"), "\\u202egpj.\\u2066x\\u2028");
}

TEST(TerminalText, EscapesBytesThatAreNotUtf8) {
  EXPECT_EQ(terminal_text("a\xff\xc0\x80z"), "a\\xff\\xc0\\x80z");
  EXPECT_EQ(terminal_text("\xe7\x8c"), "\\xe7\\x8c");           // cut off
  EXPECT_EQ(terminal_text("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
  EXPECT_EQ(terminal_text("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");  // more bytes than needed
  EXPECT_EQ(terminal_text("\xf5\x80\x80\x80"), "\\xf5\\x80\\x80\\x80");
}

TEST(Shortened, KeepsBeginningAndEndAndCutsNoLetter) {
  EXPECT_EQ(shortened("abcdefgh", 8), "abcdefgh");
  EXPECT_EQ(shortened("abcdefghi", 4), "ab [...] hi");
  EXPECT_EQ(shortened("a\u00e9bcdefgh\u00e9i", 4), "a [...] i");
}

TEST(ErrorMessage, IsOnePrintableLine) {
  const Error error(ExitCode::kInput, "a\nb\x1b[0m\xff");
  EXPECT_STREQ(error.what(), "a b\\x1b[0m\\xff");
}

TEST(ErrorMessage, KeepsItsEndAfterALongQuotation) {
  const std::string what =
      Error(ExitCode::kInput, "f: got " + std::string(1 << 20, '\1') + ", expected x").what();
  EXPECT_LT(what.size(), 5000U);
  EXPECT_TRUE(what.starts_with("f: got "));
  EXPECT_TRUE(what.ends_with(", expected x"));
}

}  // namespace
}  // namespace sdsclip
