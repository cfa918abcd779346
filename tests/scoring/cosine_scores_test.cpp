#include "cosine_scores.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "sdsclip/base/random.h"

namespace sdsclip {
namespace {

constexpr std::size_t kDim = 37;

Embeddings drawn_rows(std::size_t count, std::uint64_t seed) {
  Embeddings rows{.dim = kDim, .values = std::vector<float>(count * kDim)};
  fill_normal(seed, stream_of("cosine_scores_test"), 0, rows.values);
  for (std::size_t i = 0; i < count; ++i) scale_to_unit_norm(rows.row(i));
  return rows;
}

void copy_row(Embeddings& rows, std::size_t from, std::size_t to) {
  for (std::size_t i = 0; i < kDim; ++i) rows.row(to)[i] = rows.row(from)[i];
}

/// One case per image; of all captions, or of every one of them by name.
CaseTable one_case_per_image(std::size_t images, std::size_t captions, bool by_name) {
  CaseTable table;
  table.images.resize(images);
  table.captions.resize(captions);
  for (std::size_t i = 0; i < images; ++i) {
    Case& one = table.cases.emplace_back();
    one.images = {static_cast<std::int32_t>(i)};
    for (std::size_t c = 0; by_name && c < captions; ++c)
      one.captions.push_back(static_cast<std::int32_t>(c));
  }
  return table;
}

// 2,100 images are three matrix products. The numbers of images and captions are no multiples of a processor's
// vector length, so that elements at the matrix's edges are computed by other code than those inside.
TEST(CosineScores, EqualEmbeddingsTieExactlyWhereverTheyStand) {
  constexpr std::size_t kImages = 2100;
  constexpr std::size_t kCaptions = 83;
  Embeddings images = drawn_rows(kImages, 1);
  Embeddings captions = drawn_rows(kCaptions, 2);
  const std::vector<std::pair<std::size_t, std::size_t>> equal_images = {
      {0, 1}, {3, 1023}, {4, 1024}, {5, 2099}, {1022, 2050}};
  const std::vector<std::pair<std::size_t, std::size_t>> equal_captions = {
      {0, 82}, {1, 2}, {16, 81}, {8, 40}};
  for (const auto& [from, to] : equal_images) copy_row(images, from, to);
  for (const auto& [from, to] : equal_captions) copy_row(captions, from, to);
  const CaseTable table = one_case_per_image(kImages, kCaptions, /*by_name=*/false);
  const CaseScores scores = cosine_scores(table, images, captions, at::kCPU);
  for (std::size_t image = 0; image < kImages; ++image) {
    const std::span<const double> row = std::as_const(scores).row(image, 0);
    for (const auto& [one, other] : equal_captions) ASSERT_EQ(row[one], row[other]);
  }
  for (const auto& [one, other] : equal_images) {
    for (std::size_t c = 0; c < kCaptions; ++c) {
      ASSERT_EQ(std::as_const(scores).row(one, 0)[c], std::as_const(scores).row(other, 0)[c]);
    }
  }
}

TEST(CosineScores, AMatrixProductIsWithinItsRoundingOfTheExactCosine) {
  const Embeddings images = drawn_rows(50, 3);
  const Embeddings captions = drawn_rows(21, 4);
  const CaseScores whole =
      cosine_scores(one_case_per_image(50, 21, /*by_name=*/false), images, captions, at::kCPU);
  const CaseScores named =
      cosine_scores(one_case_per_image(50, 21, /*by_name=*/true), images, captions, at::kCPU);
  for (std::size_t i = 0; i < 50; ++i) {
    for (std::size_t c = 0; c < 21; ++c) {
      long double exact = 0;
      for (std::size_t d = 0; d < kDim; ++d) {
        exact += static_cast<long double>(images.row(i)[d]) * static_cast<long double>(captions.row(c)[d]);
      }
      const std::int64_t column = static_cast<std::int64_t>(c);
      EXPECT_NEAR(whole.at(i, 0, column), static_cast<double>(exact), 1e-15);
      EXPECT_NEAR(named.at(i, 0, column), static_cast<double>(exact), 1e-15);
    }
  }
}

TEST(CosineScores, ANegativeZeroIsAZero) {
  std::vector<float> row = {-0.0F, 3.0F, -4.0F};
  EXPECT_TRUE(scale_to_unit_norm(row));
  EXPECT_FALSE(std::signbit(row[0]));
  EXPECT_EQ(row, (std::vector<float>{0.0F, 0.6F, -0.8F}));
}

}  // namespace
}  // namespace sdsclip
