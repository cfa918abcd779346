#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>

#include "sdsclip/base/error.h"
#include "sdsclip/base/text.h"
#include "sdsclip/cli/arguments.h"
#include "version.h"

namespace sdsclip {
namespace {

constexpr const char* kBenchmarkHelp =
    "winoground, aro, clevr, sugarcrepe, mmvp, retrieval, zeroshot, or all: what is found below --data";

/// A whole number of `least` or more. CLI11's own checks name the largest double as the upper end.
CLI::Validator at_least(std::int64_t least) {
  const auto check = [least](const std::string& text) {
    std::int64_t number = 0;
    const bool is_good = CLI::detail::lexical_cast(text, number) && number >= least;
    return is_good ? "" : fmt::format("got {}, expected a whole number of {} or more", text, least);
  };
  return {check, fmt::format(">={}", least)};
}

void add_common(CLI::App& app, CommonArguments& common) {
  app.add_option("--device", common.device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  app.add_option("--precision", common.precision,
                 "arithmetic of the networks; by default the configuration's, or fp32")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16"}));
  app.add_option("--threads", common.threads, "CPU threads; 0: one a core")
      ->check(at_least(0))
      ->capture_default_str();
  app.add_option("--seed", common.seed, "of every draw")->check(at_least(0));
  app.add_flag("--quiet", common.quiet, "no progress; warnings and errors only");
}

void add_convert(CLI::App& app, std::string& convert) {
  app.add_option("--convert", convert,
                 "when a palette, alpha or CMYK image becomes RGB: first (transformers, ARO), or "
                 "after_resize (open_clip)")
      ->check(CLI::IsMember({"first", "after_resize"}))
      ->capture_default_str();
}

void add_confine_data(CLI::App& app, bool& confine_data) {
  app.add_flag("--confine-data", confine_data,
               "refuse images outside the data folder: absolute paths, '..' and links that lead out");
}

void describe_synth(CLI::App& app, Arguments& arguments) {
  SynthArguments& synth = arguments.synth;
  app.add_option("--out", synth.out, "folder to create")->required();
  app.add_option("--train", synth.train, "training images")->check(at_least(1))->capture_default_str();
}

void describe_train(CLI::App& app, Arguments& arguments) {
  TrainArguments& train = arguments.train;
  app.add_option("--config", train.config, "a YAML file, or the name of one in configs/")->required();
  app.add_option("--set", train.settings, "key=value: overrides one value of the configuration")->take_all();
  app.add_option("--out", train.out, "run folder; by default runs/ and the configuration's name");
  app.add_flag("--resume", train.resume, "go on with the run in --out, if there is one");
  app.add_flag("--print-config", train.print_config,
               "print the resolved configuration, documented, and stop");
}

void describe_sweep(CLI::App& app, Arguments& arguments) {
  SweepArguments& sweep = arguments.sweep;
  app.add_option("--config", sweep.config, "a YAML file, or the name of one in configs/")->required();
  app.add_option("--set", sweep.settings, "key=value: overrides one value of the configuration, in every run")
      ->take_all();
  app.add_option("--grid", sweep.grid,
                 "key=value,value,...: an axis; every combination of the axes' values is a run")
      ->required()
      ->take_all();
  app.add_option("--metric", sweep.metric,
                 "of result.json, that names the best run; by default what evaluate.metric says, or "
                 "train/last_loss/total");
  app.add_option("--out", sweep.out,
                 "folder of the runs; by default runs/ and the configuration's name and -sweep");
  app.add_flag("--resume", sweep.resume,
               "go on with the sweep in --out, if there is one: done runs are kept");
}

void add_scoring(CLI::App& app, ScoringArguments& scoring) {
  app.add_option("benchmark", scoring.benchmark, kBenchmarkHelp)->required();
  app.add_option("--data", scoring.data, "data folder; by default $SDSCLIP_DATA/BENCHMARK, data/BENCHMARK");
  app.add_option("--out", scoring.out, "run folder; by default below runs/");
  app.add_option("--limit", scoring.limit, "only the first so many cases of each part; 0: all")
      ->check(at_least(0))
      ->capture_default_str();
  app.add_flag("--resume", scoring.resume,
               "go on with the run in --out, if there is one; batches may have another size, and a diffusion "
               "score other samples or another judgement");
  app.add_flag("--judge-only", scoring.judge_only,
               "metrics from the stored scores of --out, without a model");
  app.add_flag("--skip-missing", scoring.skip_missing, "leave cases with a missing image out, counted");
  add_convert(app, scoring.convert);
  add_confine_data(app, scoring.confine_data);
}

void describe_eval(CLI::App& app, Arguments& arguments) {
  EvalArguments& eval = arguments.eval;
  add_scoring(app, eval.scoring);
  app.add_option("--clip", eval.clip, "bundle folder, or its name below $SDSCLIP_MODELS (models)")
      ->capture_default_str();
  app.add_option("--tuned", eval.tuned, "tuned.safetensors of a training run");
  app.add_option("--batch", eval.batch, "images through CLIP at a time")
      ->check(at_least(1))
      ->capture_default_str();
  app.add_option("--cache", eval.cache,
                 "folder that keeps embeddings, by model and image, for other runs to reuse");
}

void describe_diffusion_score(CLI::App& app, Arguments& arguments) {
  DiffusionScoreArguments& score = arguments.diffusion_score;
  add_scoring(app, score.scoring);
  app.get_option("benchmark")->description(std::string(kBenchmarkHelp) + "; or captions, with --candidates");
  app.add_option("--teacher", score.teacher, "bundle folder, or its name below $SDSCLIP_MODELS (models)")
      ->capture_default_str();
  app.add_option("--candidates", score.candidates,
                 "for the benchmark captions, whose scores are targets for rank.targets: a table with the "
                 "columns filepath (below --data), title and neg_caption (scripts/make_candidates.py)");
  app.add_option("--preset", score.preset, "the timesteps, error and image of a publication")
      ->check(CLI::IsMember({"paper", "diffusion-itm", "diffusion-classifier"}));
  app.add_option("--samples", score.samples, "draws of (t, eps) a pair; 50 by default")->check(at_least(1));
  app.add_option("--norm", score.norm, "of a sample's error")
      ->check(CLI::IsMember({"l2", "l1", "l2_unsquared"}));
  app.add_option("--error", score.error, "of the noise (eps) or of the velocity (v)")
      ->check(CLI::IsMember({"eps", "v"}));
  app.add_option("--weight", score.weight, "of a timestep: uniform, snr or learned:FILE");
  app.add_option("--t-range", score.t_range, "first and last timestep as shares of the schedule")
      ->expected(2);
  app.add_option("--resize", score.resize, "how an image becomes a square")
      ->check(CLI::IsMember({"bundle", "shortest_edge", "squash"}));
  app.add_flag(
      "--adaptive", score.adaptive,
      "stop candidates whose difference is decided; with --judge-only: what that would have answered");
  app.add_option("--confidence", score.confidence, "adaptive: of a decision; 0.998 by default");
  app.add_option("--min-samples", score.min_samples,
                 "adaptive: of every pair, before any decision; 4 by default");
  app.add_option("--budget", score.budget,
                 "adaptive: UNet evaluations a pair, on average; no limit by default");
  app.add_flag("--subtract-unconditional", score.subtract_unconditional,
               "d(x, c) - d(x, ''), for image directions");
  app.add_option("--micro-batch", score.micro_batch, "UNet evaluations at a time; 0: chosen by itself")
      ->check(at_least(0))
      ->capture_default_str();
  app.add_option("--encode-batch", score.encode_batch,
                 "images or texts through the VAE or the text encoder at a time; 8 by default")
      ->check(at_least(1));
  app.add_flag("--convergence", score.convergence, "print metric against number of samples");
}

void describe_diffusion_weights(CLI::App& app, Arguments& arguments) {
  DiffusionWeightsArguments& weights = arguments.diffusion_weights;
  app.add_option("run", weights.runs, "run folders of diffusion-score, on cases held out from those to score")
      ->required();
  app.add_option("--out", weights.out, "JSON file to create, for diffusion-score --weight learned:FILE")
      ->required();
  app.add_option("--bins", weights.bins, "equal parts of the schedule with a weight each")
      ->check(at_least(1))
      ->capture_default_str();
}

void describe_bundle(CLI::App& app, Arguments& arguments) {
  BundleArguments& bundle = arguments.bundle;
  app.require_subcommand(1);
  CLI::App* inspect = app.add_subcommand("inspect", "what a bundle holds");
  CLI::App* verify = app.add_subcommand("verify", "the same, with every file's SHA-256 compared");
  verify->parse_complete_callback([&bundle] { bundle.verify = true; });
  for (CLI::App* command : {inspect, verify}) {
    command->add_option("bundle", bundle.bundle, "bundle folder, or its name below $SDSCLIP_MODELS")
        ->required();
  }
}

void describe_export(CLI::App& app, Arguments& arguments) {
  ExportArguments& options = arguments.export_model;
  app.add_option("--clip", options.clip, "bundle folder that was tuned")->required();
  app.add_option("--tuned", options.tuned, "tuned.safetensors of a training run")->required();
  app.add_option("--format", options.format, "a full bundle, or all weights under the source library's names")
      ->check(CLI::IsMember({"bundle", "safetensors"}))
      ->capture_default_str();
  app.add_option("--out", options.out, "folder or file to create")->required();
}

void describe_report(CLI::App& app, Arguments& arguments) {
  app.add_option("run", arguments.report.runs, "run folders; X and X/seed-N are seeds of one arm")
      ->required();
  app.add_option("--out", arguments.report.out,
                 "an HTML page to write: tables, figures, the paper's numbers beside");
}

void describe_compare(CLI::App& app, Arguments& arguments) {
  CompareArguments& compare = arguments.compare;
  app.add_option("run_a", compare.run_a, "run folder of eval or diffusion-score, or one that holds several")
      ->required();
  app.add_option("run_b", compare.run_b, "the same cases, another model or scorer")->required();
}

void describe_data(CLI::App& app, Arguments& arguments) {
  app.require_subcommand(1);
  CLI::App* check = app.add_subcommand("check", "counts and missing files of a data set");
  check->add_option("benchmark", arguments.data_check.benchmark, "as for eval")->required();
  check->add_option("--data", arguments.data_check.data, "data folder; by default as for eval");
  add_confine_data(*check, arguments.data_check.confine_data);
}

void describe_tokenize(CLI::App& app, Arguments& arguments) {
  TokenizeArguments& tokenize = arguments.tokenize;
  app.add_option("--bundle", tokenize.bundle, "whose tokenizer")->required();
  app.add_option("text", tokenize.texts, "texts; none: a text a line from standard input");
  app.add_flag("-0,--null", tokenize.nul, "texts on standard input end with NUL, not with a line break");
}

void describe_preprocess(CLI::App& app, Arguments& arguments) {
  PreprocessArguments& preprocess = arguments.preprocess;
  app.add_option("--bundle", preprocess.bundle, "whose preprocessing")->required();
  app.add_option("image", preprocess.images, "image files")->required();
  add_convert(app, preprocess.convert);
  app.add_option("--out", preprocess.out, ".safetensors to create: pixel_values f32[N, 3, H, W]")->required();
}

void describe_embed(CLI::App& app, Arguments& arguments) {
  EmbedArguments& embed = arguments.embed;
  app.add_option("--clip", embed.clip, "bundle folder, or its name below $SDSCLIP_MODELS")
      ->capture_default_str();
  app.add_option("--tuned", embed.tuned, "tuned.safetensors of a training run");
  add_convert(app, embed.convert);
  app.add_option("--images", embed.images, "file with an image's path a line");
  app.add_option("--text", embed.text, "file with a text a line");
  app.add_option("--out", embed.out, ".safetensors to create: image_embeds, text_embeds, not normalised")
      ->required();
}

/// Every command: its name, what it does, its arguments.
struct CommandEntry {
  const char* name;
  const char* summary;
  Command command;
  void (*describe)(CLI::App& app, Arguments& arguments);
};

constexpr CommandEntry kCommands[] = {
    {"synth", "write the embedded shapes world, in every benchmark's own format", Command::kSynth,
     describe_synth},
    {"train", "fine-tune CLIP with L_CLIP + lambda L_SDS", Command::kTrain, describe_train},
    {"sweep", "one training run a point of a grid, resumable, and the best of them", Command::kSweep,
     describe_sweep},
    {"eval", "score a CLIP model on a benchmark", Command::kEval, describe_eval},
    {"diffusion-score", "score a diffusion teacher on a benchmark", Command::kDiffusionScore,
     describe_diffusion_score},
    {"diffusion-weights", "learn timestep weights from stored errors", Command::kDiffusionWeights,
     describe_diffusion_weights},
    {"report", "runs side by side, with the paper's numbers", Command::kReport, describe_report},
    {"compare", "two runs case by case: difference, its interval, exact McNemar test", Command::kCompare,
     describe_compare},
    {"export", "write a tuned model as a bundle or as safetensors", Command::kExport, describe_export},
    {"bundle", "look into a bundle", Command::kBundle, describe_bundle},
    {"data", "look into a data set", Command::kDataCheck, describe_data},
    {"tokenize", "token ids, one JSON array a line", Command::kTokenize, describe_tokenize},
    {"preprocess", "images as the model sees them", Command::kPreprocess, describe_preprocess},
    {"embed", "embeddings of images and texts", Command::kEmbed, describe_embed},
};

std::string name_of(const CLI::App& app) {
  for (const CLI::App* command : app.get_subcommands()) return " " + command->get_name();
  return "";
}

/// What is wrong where the first word is no command; empty where it is one.
std::string command_hint(int argc, const char* const* argv) {
  if (argc < 2 || argv[1][0] == '-') return "";
  std::vector<std::string> names;
  for (const CommandEntry& entry : kCommands) names.emplace_back(entry.name);
  if (std::find(names.begin(), names.end(), argv[1]) != names.end()) return "";
  const std::string hint = did_you_mean(argv[1], names);
  return fmt::format("unknown command '{}'{}", argv[1],
                     hint.empty() ? ", expected one of " + join(names, ", ") : hint);
}

}  // namespace

ParsedArguments parse_arguments(int argc, const char* const* argv) {
  ParsedArguments parsed;
  CLI::App app(
      "Fine-tunes CLIP with knowledge distilled from a text-to-image diffusion model, and measures it.",
      "sdsclip");
  app.set_version_flag("--version", "sdsclip " SDSCLIP_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 2 wrong usage or configuration, 3 bad input, 4 failed while running, "
      "130 interrupted with its state saved.");
  for (const CommandEntry& entry : kCommands) {
    CLI::App* command = app.add_subcommand(entry.name, entry.summary);
    entry.describe(*command, parsed.arguments);
    const std::vector<CLI::App*> nested = command->get_subcommands([](CLI::App*) { return true; });
    if (nested.empty()) add_common(*command, parsed.arguments.common);
    for (CLI::App* inner : nested) add_common(*inner, parsed.arguments.common);
    command->parse_complete_callback([&parsed, &entry] { parsed.arguments.command = entry.command; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    parsed.exit_code = app.exit(help_or_version);
  } catch (const CLI::ParseError& wrong) {
    const std::string hint = command_hint(argc, argv);
    std::fprintf(stderr, "sdsclip: %s; see 'sdsclip%s --help'\n",
                 terminal_text(hint.empty() ? wrong.what() : hint).c_str(), name_of(app).c_str());
    parsed.exit_code = static_cast<int>(ExitCode::kUsage);
  }
  return parsed;
}

}  // namespace sdsclip
