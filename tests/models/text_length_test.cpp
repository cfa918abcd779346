#include "sdsclip/models/text_length.h"

#include <gtest/gtest.h>
#include <torch/script.h>

namespace sdsclip {
namespace {

BundleTokenizer small_tokenizer(bool any_length) {
  BundleTokenizer tokenizer;
  tokenizer.context_length = 6;
  tokenizer.sot = 8;
  tokenizer.eot = 9;
  tokenizer.any_length = any_length;
  return tokenizer;
}

at::Tensor two_texts() {
  return torch::tensor({{8, 1, 9, 0, 0, 0}, {8, 1, 2, 9, 0, 0}});
}

TEST(CutPadding, EndsWithTheLongestText) {
  const at::Tensor expected = torch::tensor({{8, 1, 9, 0}, {8, 1, 2, 9}});
  EXPECT_TRUE(torch::equal(cut_padding(two_texts(), small_tokenizer(true)), expected));
}

TEST(CutPadding, KeepsTheFirstEndIfPaddingIsTheEndToken) {
  const at::Tensor ids = torch::tensor({{8, 1, 9, 9, 9, 9}, {8, 1, 2, 9, 9, 9}});
  EXPECT_TRUE(
      torch::equal(cut_padding(ids, small_tokenizer(true)), torch::tensor({{8, 1, 9, 9}, {8, 1, 2, 9}})));
}

TEST(CutPadding, LeavesIdsUnchangedIfTheTowerNeedsTheWholeContext) {
  EXPECT_TRUE(torch::equal(cut_padding(two_texts(), small_tokenizer(false)), two_texts()));
}

TEST(LongestTexts, AreNotCut) {
  const BundleTokenizer tokenizer = small_tokenizer(true);
  const at::Tensor ids = longest_texts(3, tokenizer);
  EXPECT_EQ(ids.sizes(), (at::IntArrayRef{3, 6}));
  EXPECT_TRUE(torch::equal(cut_padding(ids, tokenizer), ids));
}

}  // namespace
}  // namespace sdsclip
