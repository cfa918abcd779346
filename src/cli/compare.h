#pragma once

#include "shared_options.h"

namespace sdsclip {

struct CompareCommand : CommandOptions {
  static constexpr const char* kName = "compare";
  static constexpr const char* kSummary =
      "Compares two runs case by case: difference, confidence interval, exact McNemar test.";
  std::string run_a;
  std::string run_b;
};

inline void visit_options(CommandLine& line, CompareCommand& command) {
  line.positional("run_a", command.run_a,
                  "Run folder of eval or diffusion-score, or a folder with one per benchmark.");
  line.positional("run_b", command.run_b, "Run folder of the same cases, with another model or scorer.");
}

void run(const CompareCommand& command);

}  // namespace sdsclip
