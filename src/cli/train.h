#pragma once

#include "shared_options.h"

namespace sdsclip {

struct TrainCommand : CommandOptions {
  static constexpr const char* kName = "train";
  static constexpr const char* kSummary = "Fine-tunes CLIP with L_CLIP + lambda L_SDS.";
  static constexpr bool kSavesState = true;
  TrainingOptions training;
  std::string out;
  bool resume = false;
  bool print_config = false;
};

inline void visit_options(CommandLine& line, TrainCommand& command) {
  visit_options(line, command.training);
  line.option("out", command.out, "Run folder to create; empty: runs/ and the configuration's name.");
  line.option("resume", command.resume,
              "Continue the run in --out from its last checkpoint, if there is one.");
  line.option("print_config", command.print_config,
              "Print the resolved configuration with the text of each option, and exit.");
}

void run(const TrainCommand& command);

}  // namespace sdsclip
