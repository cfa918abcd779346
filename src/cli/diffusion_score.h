#pragma once

#include "sdsclip/scoring/diffusion_options.h"
#include "shared_options.h"

namespace sdsclip {

struct DiffusionScoreCommand : CommandOptions {
  static constexpr const char* kName = "diffusion-score";
  static constexpr const char* kSummary = "Scores a diffusion teacher on a benchmark.";
  static constexpr bool kSavesState = true;
  ScoringOptions scoring;
  std::string teacher = "shapes-teacher";
  std::string candidates;
  DiffusionScoreOptions score;
  ComputeOptions compute;
  CompiledUse compiled = CompiledUse::kIfFitting;
  bool convergence = false;
};

inline void visit_options(CommandLine& line, DiffusionScoreCommand& command) {
  visit_options(line, command.scoring);
  line.option("teacher", command.teacher, kBundleText);
  line.option(
      "candidates", command.candidates,
      "Table of candidate captions, only with the benchmark captions: columns filepath (below --data), title "
      "and neg_caption. scripts/make_candidates.py writes it. The scores are the targets of rank.targets.");
  line.one_of(
      "preset", kPresetNames, "",
      [&score = command.score](std::size_t preset) { apply_preset(kPresetNames[preset], score); },
      "Timesteps, error and image size of a publication. The other options override it.");
  line.flags_of(command.score, {{"sampling.samples"},
                                {"sampling.seed"},
                                {"estimator.norm"},
                                {"estimator.error"},
                                {"estimator.weight"},
                                {"estimator.subtract_unconditional"},
                                {"adaptive.enabled", "--adaptive"},
                                {"adaptive.confidence", "", "--adaptive"},
                                {"adaptive.min_samples", "", "--adaptive"},
                                {"adaptive.budget", "", "--adaptive"},
                                {"resize"},
                                {"convert"},
                                {"micro_batch"},
                                {"encode_batch"},
                                {"workers"}});
  line.range(
      "t_range", command.score.sampling.t_min, command.score.sampling.t_max,
      "First and last timestep, as fractions of the schedule. Narrow it to study which noise levels tell "
      "captions apart.");
  line.option("convergence", command.convergence,
              "Also print each metric as a function of the number of samples.");
  visit_compute(line, command.compute);
  line.OptionVisitor::choice("compiled", command.compiled, kCompiledNames, kCompiledText);
}

void run(const DiffusionScoreCommand& command);

}  // namespace sdsclip
