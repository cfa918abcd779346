#include "sdsclip/base/progress.h"

#include <gtest/gtest.h>

namespace sdsclip {
namespace {

TEST(ProgressLine, ShowsShareRateAndTimeLeft) {
  EXPECT_EQ(progress_line("eval", 450, 1000, "images", 12.5, "x"),
            "eval  45% [#########           ] 450/1000 images, 12.5/s, 0:44 left, x");
}

TEST(ProgressLine, ShowsHoursForLongRuns) {
  EXPECT_EQ(progress_line("train", 0, 7322, "steps", 1.0, ""),
            "train   0% [                    ] 0/7322 steps, 1/s, 2:02:02 left");
}

TEST(ProgressLine, OfNothingToDoIsDone) {
  EXPECT_EQ(progress_line("x", 0, 0, "cases", 0.0, ""), "x 100% [####################] 0/0 cases");
}

}  // namespace
}  // namespace sdsclip
