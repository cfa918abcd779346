#pragma once

#include "sdsclip/data/synth.h"
#include "shared_options.h"

namespace sdsclip {

struct SynthCommand : CommandOptions {
  static constexpr const char* kName = "synth";
  static constexpr const char* kSummary = "Draws the embedded shapes world, in every benchmark's own format.";
  std::string out;
  std::int64_t train = SynthOptions{}.train;
  std::int64_t seed = 0;
};

inline void visit_options(CommandLine& line, SynthCommand& command) {
  line.required("out", command.out, "Folder to create.");
  line.count("train", command.train, {1, kMostCount}, "Number of training images, with five captions each.");
  line.count("seed", command.seed, {0},
             "Seed of the drawn scenes. Other seeds draw other scenes of the same splits.");
}

void run(const SynthCommand& command);

}  // namespace sdsclip
