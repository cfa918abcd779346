#pragma once

#include "shared_options.h"

namespace sdsclip {

struct DiffusionWeightsCommand : CommandOptions {
  static constexpr const char* kName = "diffusion-weights";
  static constexpr const char* kSummary = "Learns timestep weights from stored errors.";
  std::vector<std::string> runs;
  std::string out;
  std::int64_t bins = 10;
};

inline void visit_options(CommandLine& line, DiffusionWeightsCommand& command) {
  line.positional("run", command.runs,
                  "Run folders of diffusion-score. Their cases must be held out from the cases to score with "
                  "the weights.");
  line.required("out", command.out, "JSON file to create, for diffusion-score --weight learned:FILE.");
  line.count(
      "bins", command.bins, {1, kMostCount},
      "Number of equal parts of the schedule, with one weight each. Use fewer if there are few cases.");
}

void run(const DiffusionWeightsCommand& command);

}  // namespace sdsclip
