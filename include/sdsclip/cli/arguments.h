#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sdsclip {

/// What every command takes.
struct CommonArguments {
  std::string device = "auto";  ///< auto, cpu, cuda, cuda:N
  std::optional<std::string>
      precision;             ///< fp32, bf16, fp16: of the networks; unset: the configuration's, or fp32
  std::int64_t threads = 0;  ///< of LibTorch; 0: one a core
  std::optional<std::int64_t> seed;  ///< of every draw; unset: the configuration's, or 0
  bool quiet = false;                ///< no progress, warnings and errors only
};

/// `sdsclip synth`
struct SynthArguments {
  std::string out;            ///< folder to create
  std::int64_t train = 8000;  ///< training images
};

/// `sdsclip train`
struct TrainArguments {
  std::string config;                 ///< a path, or a name in configs/
  std::vector<std::string> settings;  ///< key=value
  std::string out;                    ///< empty: runs/ and the configuration's name
  bool resume = false;                ///< go on with the run in `out`
  bool print_config = false;          ///< print the resolved configuration with its documentation, and stop
};

/// `sdsclip sweep`
struct SweepArguments {
  std::string config;                 ///< a path, or a name in configs/
  std::vector<std::string> settings;  ///< key=value, of every point
  std::vector<std::string> grid;      ///< key=value,value,..., an axis each
  std::string metric;                 ///< empty: the configuration's evaluate.metric, or the last total loss
  std::string out;                    ///< empty: runs/ and the configuration's name and -sweep
  bool resume = false;                ///< go on with the sweep in `out`
};

/// What `eval` and `diffusion-score` share.
struct ScoringArguments {
  std::string benchmark;          ///< a name, or `all`
  std::string data;               ///< empty: SDSCLIP_DATA/BENCHMARK, by default data/BENCHMARK
  std::string out;                ///< empty: runs/ and command, model and benchmark
  std::int64_t limit = 0;         ///< first cases of each part; 0: all
  bool resume = false;            ///< go on with the run in `out`
  bool judge_only = false;        ///< metrics from the stored scores, without a model
  bool skip_missing = false;      ///< leave cases with a missing image out, counted
  bool confine_data = false;      ///< refuse images outside the data folder
  std::string convert = "first";  ///< first, after_resize: when another mode becomes RGB
};

/// `sdsclip eval`
struct EvalArguments {
  ScoringArguments scoring;
  std::string clip = "shapes-clip";  ///< bundle folder, or its name below SDSCLIP_MODELS
  std::string tuned;                 ///< tuned.safetensors; empty: as exported
  std::int64_t batch = 64;           ///< images a unit
  std::string cache;                 ///< folder of embeddings that other runs may reuse; empty: none
};

/// `sdsclip diffusion-score`
struct DiffusionScoreArguments {
  ScoringArguments scoring;
  std::string teacher = "shapes-teacher";    ///< bundle folder, or its name below SDSCLIP_MODELS
  std::string candidates;                    ///< `captions`: the table of candidate captions
  std::string preset;                        ///< paper, diffusion-itm, diffusion-classifier
  std::optional<std::int64_t> samples;       ///< (t, eps) draws a pair
  std::optional<std::string> norm;           ///< l2, l1, l2_unsquared
  std::optional<std::string> error;          ///< eps, v
  std::optional<std::string> weight;         ///< uniform, snr, learned:FILE
  std::vector<double> t_range;               ///< two shares of the schedule
  std::optional<std::string> resize;         ///< bundle, shortest_edge, squash
  bool adaptive = false;                     ///< stop decided candidates early
  std::optional<double> confidence;          ///< adaptive: of a decision
  std::optional<std::int64_t> min_samples;   ///< adaptive: of every pair, before any decision
  std::optional<double> budget;              ///< adaptive: UNet evaluations a pair, on average
  bool subtract_unconditional = false;       ///< for comparisons between images
  std::int64_t micro_batch = 0;              ///< UNet evaluations at a time; 0: by itself
  std::optional<std::int64_t> encode_batch;  ///< images or texts a time through the encoders
  bool convergence = false;                  ///< print metric against number of samples
};

/// `sdsclip diffusion-weights`
struct DiffusionWeightsArguments {
  std::vector<std::string> runs;  ///< run folders of `diffusion-score`, of a held-out split
  std::string out;                ///< JSON file to create
  std::int64_t bins = 10;         ///< equal parts of the schedule with a weight each
};

/// `sdsclip bundle inspect|verify`
struct BundleArguments {
  bool verify = false;  ///< also compare every file's SHA-256
  std::string bundle;   ///< folder, or its name below SDSCLIP_MODELS
};

/// `sdsclip export`
struct ExportArguments {
  std::string clip;               ///< bundle folder
  std::string tuned;              ///< tuned.safetensors
  std::string format = "bundle";  ///< bundle, safetensors
  std::string out;                ///< folder or file to create
};

/// `sdsclip report`
struct ReportArguments {
  std::vector<std::string> runs;  ///< run folders, in the order of the rows
  std::string out;                ///< .html to write; empty: the table alone
};

/// `sdsclip compare`
struct CompareArguments {
  std::string run_a;  ///< run folder of a benchmark, or of `eval all`
  std::string run_b;
};

/// `sdsclip data check`
struct DataCheckArguments {
  std::string benchmark;
  std::string data;           ///< empty: as for `eval`
  bool confine_data = false;  ///< refuse images outside the data folder
};

/// `sdsclip tokenize`
struct TokenizeArguments {
  std::string bundle;
  std::vector<std::string> texts;  ///< empty: standard input
  bool nul = false;                ///< texts on standard input end with NUL instead of a line break
};

/// `sdsclip preprocess`
struct PreprocessArguments {
  std::string bundle;
  std::string convert = "first";  ///< as for `eval`
  std::vector<std::string> images;
  std::string out;  ///< .safetensors to create
};

/// `sdsclip embed`
struct EmbedArguments {
  std::string convert = "first";  ///< as for `eval`
  std::string clip = "shapes-clip";
  std::string tuned;   ///< as for `eval`
  std::string images;  ///< file with a path a line; empty: none
  std::string text;    ///< file with a text a line; empty: none
  std::string out;     ///< .safetensors to create
};

enum class Command {
  kSynth,
  kTrain,
  kSweep,
  kEval,
  kDiffusionScore,
  kDiffusionWeights,
  kBundle,
  kExport,
  kReport,
  kCompare,
  kDataCheck,
  kTokenize,
  kPreprocess,
  kEmbed
};

/// A whole command line; of the commands' arguments only those of `command` are set.
struct Arguments {
  Command command = Command::kSynth;
  CommonArguments common;
  SynthArguments synth;
  TrainArguments train;
  SweepArguments sweep;
  EvalArguments eval;
  DiffusionScoreArguments diffusion_score;
  DiffusionWeightsArguments diffusion_weights;
  BundleArguments bundle;
  ExportArguments export_model;
  ReportArguments report;
  CompareArguments compare;
  DataCheckArguments data_check;
  TokenizeArguments tokenize;
  PreprocessArguments preprocess;
  EmbedArguments embed;
};

/// Reads a command line. `--help` and `--version` print to stdout and wrong usage prints one line to stderr;
/// then the exit code (0 or 2) is in `exit_code` and there is nothing to run.
struct ParsedArguments {
  std::optional<int> exit_code;
  Arguments arguments;
};
ParsedArguments parse_arguments(int argc, const char* const* argv);

}  // namespace sdsclip
