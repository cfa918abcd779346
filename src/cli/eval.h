#pragma once

#include "sdsclip/scoring/clip_options.h"
#include "shared_options.h"

namespace sdsclip {

struct EvalCommand : CommandOptions {
  static constexpr const char* kName = "eval";
  static constexpr const char* kSummary = "Scores a CLIP model on a benchmark.";
  static constexpr bool kSavesState = true;
  ScoringOptions scoring;
  std::string clip = "shapes-clip";
  std::string tuned;
  ClipScoreOptions score;
  ComputeOptions compute;
};

inline void visit_options(CommandLine& line, EvalCommand& command) {
  visit_options(line, command.scoring);
  line.option("clip", command.clip, kBundleText);
  line.option("tuned", command.tuned, kTunedText);
  line.flags_of(command.score, {{"image_batch", "--batch"}, {"cache"}, {"convert"}, {"workers"}});
  visit_compute(line, command.compute);
}

void run(const EvalCommand& command);

}  // namespace sdsclip
