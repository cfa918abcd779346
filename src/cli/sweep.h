#pragma once

#include "shared_options.h"

namespace sdsclip {

struct SweepCommand : CommandOptions {
  static constexpr const char* kName = "sweep";
  static constexpr const char* kSummary = "Trains once per grid point and reports the best run.";
  static constexpr bool kSavesState = true;
  TrainingOptions training;
  std::vector<std::string> grid;
  std::string metric;
  std::string out;
  bool resume = false;
};

inline void visit_options(CommandLine& line, SweepCommand& command) {
  visit_options(line, command.training);
  line.required(
      "grid", command.grid,
      "One axis: key=value,value,... Give it once per axis; every combination of values is one run.");
  line.option(
      "metric", command.metric,
      "Metric of result.json that selects the best run; empty: the configuration's evaluate.metric, or "
      "train/last_loss/total if it evaluates nothing.");
  line.option("out", command.out,
              "Folder of the runs; empty: runs/ and the configuration's name and -sweep.");
  line.option("resume", command.resume,
              "Continue the sweep in --out, if there is one. Finished runs are kept.");
}

void run(const SweepCommand& command);

}  // namespace sdsclip
