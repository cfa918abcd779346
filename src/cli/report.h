#pragma once

#include "shared_options.h"

namespace sdsclip {

struct ReportCommand : CommandOptions {
  static constexpr const char* kName = "report";
  static constexpr const char* kSummary = "Shows runs side by side, beside the paper's published scores.";
  std::vector<std::string> runs;
  std::string out;
};

inline void visit_options(CommandLine& line, ReportCommand& command) {
  line.positional("run", command.runs,
                  "Run folders, in the order of the rows. X, X/seed-1, X/seed-2 count as seeds of one run.");
  line.option("out", command.out,
              "HTML page to create, with tables and figures; empty: print the table only.");
}

void run(const ReportCommand& command);

}  // namespace sdsclip
