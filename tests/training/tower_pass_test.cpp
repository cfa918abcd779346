#include "tower_pass.h"

#include <gtest/gtest.h>
#include <torch/script.h>

namespace sdsclip {
namespace {

/// A tower of one weight that counts the rows it embeds.
struct CountedTower {
  at::Tensor weight = torch::full({1}, 2.0);
  std::int64_t rows = 0;

  EncodeRows encode() {
    return [this](std::int64_t first, std::int64_t count) {
      rows += count;
      return torch::arange(first, first + count, torch::kFloat).view({count, 1}) * weight;
    };
  }
};

TEST(TowerPass, OfAFrozenTowerEmbedsEachRowOnce) {
  for (const std::int64_t micro_batch : {0, 2, 8}) {
    CountedTower tower;
    const TowerPass pass(tower.encode(), 8, micro_batch, /*needs_gradient=*/true);
    pass.backward(torch::ones({8, 1}));
    EXPECT_EQ(tower.rows, 8) << micro_batch;
    EXPECT_FALSE(pass.embeddings().requires_grad());
  }
}

TEST(TowerPass, GivesTheSameGradientWithAnyMicroBatch) {
  for (const std::int64_t micro_batch : {0, 3, 8}) {
    CountedTower tower;
    tower.weight.set_requires_grad(true);
    const TowerPass pass(tower.encode(), 8, micro_batch, /*needs_gradient=*/true);
    EXPECT_TRUE(torch::equal(pass.embeddings(), torch::arange(8, torch::kFloat).view({8, 1}) * 2));
    pass.backward(torch::ones({8, 1}));
    EXPECT_EQ(tower.weight.grad().item<float>(), 28);
    EXPECT_EQ(tower.rows, micro_batch == 3 ? 16 : 8);
  }
}

}  // namespace
}  // namespace sdsclip
