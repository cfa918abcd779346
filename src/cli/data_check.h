#pragma once

#include "shared_options.h"

namespace sdsclip {

struct DataCheckCommand : CommandOptions {
  static constexpr const char* kName = "data check";
  static constexpr const char* kSummary = "Counts the cases of a data set and names its missing files.";
  std::string benchmark;
  std::string data;
  bool confine_data = false;
};

inline void visit_options(CommandLine& line, DataCheckCommand& command) {
  line.positional("benchmark", command.benchmark,
                  "winoground, aro, clevr, sugarcrepe, mmvp, retrieval or zeroshot.");
  line.option("data", command.data, kDataText);
  line.option("confine_data", command.confine_data, kConfineText);
}

void run(const DataCheckCommand& command);

}  // namespace sdsclip
