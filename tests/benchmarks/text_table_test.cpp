#include "sdsclip/benchmarks/text_table.h"

#include <gtest/gtest.h>

namespace sdsclip {
namespace {

TEST(UniqueTexts, ShareRepeatedTextsAndEndWithTheEmptyText) {
  CaseTable table;
  table.captions = {{.id = "a", .texts = {"x", "y"}}, {.id = "b", .texts = {"y"}}};
  const TextTable texts = unique_texts(table);
  EXPECT_EQ(texts.texts, (std::vector<std::string>{"x", "y", ""}));
  EXPECT_EQ(texts.of_caption, (std::vector<std::vector<std::int32_t>>{{0, 1}, {1}}));
  EXPECT_EQ(texts.caption_texts, 2);
  EXPECT_EQ(texts.unconditional, 2);
}

TEST(UniqueTexts, UseAnEmptyCaptionAsTheUnconditionalText) {
  CaseTable table;
  table.captions = {{.id = "a", .texts = {""}}, {.id = "b", .texts = {"y"}}};
  const TextTable texts = unique_texts(table);
  EXPECT_EQ(texts.caption_texts, 2);
  EXPECT_EQ(texts.unconditional, 0);
}

}  // namespace
}  // namespace sdsclip
