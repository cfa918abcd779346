#include "sdsclip/base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace sdsclip {
namespace {

using Words = std::array<std::uint32_t, 4>;

// The known answers of the authors' own test suite (Random123, kat_vectors, philox4x32-10).
TEST(Philox, GivesThePublishedKnownAnswers) {
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32_10({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, PutsIndexStreamAndSeedIntoSeparateWords) {
  EXPECT_EQ(philox4x32(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(StreamOf, IsFnv1a) {
  EXPECT_EQ(stream_of(""), 0xcbf29ce484222325U);
  EXPECT_EQ(stream_of("a"), 0xaf63dc4c8601ec8cU);  // published test vector
}

TEST(FillNormal, HasTheMomentsOfAStandardNormal) {
  std::vector<float> draws(400000);
  fill_normal(1, 2, 0, draws);
  double sum = 0;
  double squares = 0;
  double fourth = 0;
  for (const float x : draws) {
    sum += x;
    squares += double{x} * x;
    fourth += std::pow(double{x}, 4);
  }
  const double n = static_cast<double>(draws.size());
  EXPECT_NEAR(sum / n, 0.0, 5.0 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1.0, 5.0 * std::sqrt(2.0 / n));
  EXPECT_NEAR(fourth / n, 3.0, 5.0 * std::sqrt(96.0 / n));
}

TEST(FillNormal, AnyPartOfAStreamEqualsThatPartOfTheWhole) {
  std::vector<float> whole(103);
  fill_normal(7, 9, 0, whole);
  std::vector<float> part(43);
  fill_normal(7, 9, 60, part);
  EXPECT_EQ(part, std::vector<float>(whole.begin() + 60, whole.end()));
}

TEST(RandomSequence, DrawsBelowABoundEvenly) {
  RandomSequence random(3, 4);
  std::vector<int> counts(5, 0);
  constexpr int kDraws = 50000;
  for (int i = 0; i < kDraws; ++i) ++counts.at(random.below(5));
  for (const int count : counts) EXPECT_NEAR(count, kDraws / 5, 5 * std::sqrt(kDraws * 0.2 * 0.8));
}

TEST(RandomSequence, RestartsWithTheSameDraws) {
  RandomSequence first(3, 4);
  RandomSequence second(3, 4);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(first.next_word(), second.next_word());
}

}  // namespace
}  // namespace sdsclip
