#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "command_line.h"
#include "sdsclip/models/compute_options.h"

// Options that several commands share.
namespace sdsclip {

inline constexpr std::string_view kBundleText =
    "Bundle folder, or its name below $SDSCLIP_MODELS (default: models).";
inline constexpr std::string_view kTunedText =
    "tuned.safetensors of a training run; empty: the bundle's own weights.";
inline constexpr std::string_view kDataText =
    "Data folder of the benchmark; empty: $SDSCLIP_DATA/BENCHMARK, or data/BENCHMARK if that is not set.";
inline constexpr std::string_view kConfineText =
    "Refuse images outside the data folder: absolute paths, '..' and links that lead out. Set it for data "
    "from an "
    "untrusted source.";

inline constexpr std::array<std::string_view, 2> kFalseTrue = {"false", "true"};

/// What every command takes. All command structs begin with it.
struct CommandOptions {
  static constexpr bool kSavesState = false;  ///< whether an interrupted run can be continued
  bool quiet = false;
};

/// The configuration of `train` and `sweep`, and what overrides it.
struct TrainingOptions {
  std::string config;
  std::vector<std::string> settings;
  std::optional<std::int64_t> seed;
  std::optional<Precision> precision;
  std::optional<CompiledUse> compiled;
  std::optional<bool> deterministic;
  ComputeOptions compute;  // its precision and determinism are the configuration's
};

inline void visit_options(CommandLine& line, TrainingOptions& options) {
  line.required("config", options.config,
                "Configuration: a YAML file, or the name of one in configs/ (see docs/configuration.md).");
  line.option("set", options.settings,
              "Overrides one value of the configuration: key=value, such as train.lr=1e-5.");
  line.count("seed", options.seed, {0}, "Seed of all random draws; overrides the configuration's `seed`.");
  line.choice("precision", options.precision, kPrecisionNames,
              "Arithmetic of the networks; overrides the configuration's `train.precision`.");
  line.choice("compiled", options.compiled, kCompiledNames,
              "Use of the teacher's compiled UNet; overrides the configuration's `train.compiled`.");
  line.one_of(
      "deterministic", kFalseTrue, "", [&options](std::size_t index) { options.deterministic = index == 1; },
      "Whether a run on a GPU repeats bit by bit; overrides the configuration's `train.deterministic`.");
  line.flags_of(options.compute, {{"device"}, {"threads"}});
}

inline void visit_compute(CommandLine& line, ComputeOptions& options) {
  line.one_of(
      "deterministic", kFalseTrue, "true",
      [&options](std::size_t index) { options.deterministic = index == 1; }, kDeterministicText);
  line.flags_of(options, {{"device"}, {"precision"}, {"threads"}});
}

/// What `eval` and `diffusion-score` share.
struct ScoringOptions {
  std::string benchmark;
  std::string data;
  std::string out;
  std::int64_t limit = 0;
  bool resume = false;
  bool judge_only = false;
  bool skip_missing = false;
  bool confine_data = false;
};

inline void visit_options(CommandLine& line, ScoringOptions& options) {
  line.positional(
      "benchmark", options.benchmark,
      "winoground, aro, clevr, sugarcrepe, mmvp, retrieval, zeroshot, or all: every benchmark whose folder "
      "is below --data. diffusion-score also takes captions, with --candidates.");
  line.option("data", options.data, kDataText);
  line.option("out", options.out,
              "Run folder to create; empty: a folder below runs/ named after model and benchmark.");
  line.count("limit", options.limit, {0, kMostCount},
             "Use only the first N cases of each part, for a quick look; 0: all.");
  line.option(
      "resume", options.resume,
      "Continue the run in --out, if there is one. Batch sizes may differ from the first start; a diffusion "
      "score may also have more samples or another estimator.");
  line.option("judge_only", options.judge_only,
              "Compute the metrics again from the scores that are stored in --out, without loading a model.");
  line.option("skip_missing", options.skip_missing,
              "Leave out cases with a missing image, and count them, instead of stopping.");
  line.option("confine_data", options.confine_data, kConfineText);
}

}  // namespace sdsclip
