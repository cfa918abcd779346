#include "judging.h"

#include <gtest/gtest.h>

namespace sdsclip {
namespace {

TEST(Judging, ATieFollowsTheRule) {
  const std::vector<double> tied = {0.5, 0.2, 0.5};
  EXPECT_FALSE(first_is_best(tied, TieRule::kWrong).right);
  EXPECT_TRUE(first_is_best(tied, TieRule::kRight).right);
  EXPECT_TRUE(first_is_best(tied, TieRule::kRight).tied);
}

TEST(Judging, TiesAmongWrongAnswersDecideNothing) {
  const std::vector<double> best = {0.9, 0.2, 0.2};
  EXPECT_TRUE(first_is_best(best, TieRule::kWrong).right);
  EXPECT_FALSE(first_is_best(best, TieRule::kWrong).tied);
  const std::vector<double> worst = {0.1, 0.2, 0.2};
  EXPECT_FALSE(first_is_best(worst, TieRule::kRight).right);
  EXPECT_FALSE(first_is_best(worst, TieRule::kRight).tied);
}

TEST(Judging, BothAreDecidedByATieOnlyIfTheOtherIsRight) {
  const Verdict right{.right = true, .tied = false};
  const Verdict wrong{.right = false, .tied = false};
  const Verdict tied_wrong{.right = false, .tied = true};
  EXPECT_TRUE(both(right, tied_wrong).tied);
  EXPECT_FALSE(both(wrong, tied_wrong).tied);
  EXPECT_TRUE(both(tied_wrong, tied_wrong).tied);
  EXPECT_FALSE(both(right, wrong).tied);
  EXPECT_TRUE(both(right, right).right);
}

}  // namespace
}  // namespace sdsclip
