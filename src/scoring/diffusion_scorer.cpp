#include "sdsclip/scoring/diffusion_scorer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>

#include "diffusion_plan.h"
#include "diffusion_settings.h"
#include "estimator.h"
#include "race.h"
#include "sample_evaluator.h"
#include "score_schema.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/interrupt.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/memory.h"
#include "sdsclip/base/progress.h"
#include "sdsclip/base/stopwatch.h"
#include "sdsclip/base/task_queue.h"
#include "sdsclip/base/work_ahead.h"
#include "sdsclip/benchmarks/text_table.h"
#include "sdsclip/models/out_of_memory.h"

namespace sdsclip {
namespace {

constexpr const char* kSamplesChoice = "samples";
constexpr const char* kMicroBatchChoice = "micro_batch";
constexpr const char* kGraphChoice = "teacher_graph";
constexpr std::int64_t kTorchScript = 1;
constexpr std::int64_t kCompiled = 2;
constexpr std::int64_t kSmallLatent = 4096;  // elements; such teachers make images of up to 64 pixels

std::vector<SamplePoint> sample_points(const SamplingOptions& sampling, const DiffusionTeacher& teacher) {
  const at::Tensor abar = teacher.alphas_cumprod().to(at::kCPU);
  std::vector<SamplePoint> points;
  for (const std::int64_t timestep : sample_timesteps(sampling, teacher.bundle().schedule.train_timesteps)) {
    points.push_back(
        {.timestep = timestep, .alpha_cumprod = static_cast<double>(abar.data_ptr<float>()[timestep])});
  }
  return points;
}

/// Checks that a run with another number of samples can be extended: only if the grid is nested and no
/// decision depended on the old number.
void check_extension(const DiffusionScoreOptions& options, std::int64_t samples, ScoreStore& store) {
  const std::optional<std::int64_t> stored = store.choice(kSamplesChoice);
  const bool fixed = options.sampling.grid != TimestepGrid::kNested || options.adaptive.enabled;
  if (stored && *stored != samples && fixed) {
    throw usage_error(
        "samples: got {}, but the run in {} has {}; only uniform samples on the nested grid can be changed, "
        "give another --out",
        samples, store.path().string(), *stored);
  }
  store.keep_choice(kSamplesChoice, samples);
}

/// Whether the device has memory for `batch` evaluations at once, beside a full cache of latents and contexts
/// and the encoders' batches.
bool fits(DiffusionTeacher& teacher, const DiffusionScoreOptions& options, std::int64_t batch) {
  const Bundle& bundle = teacher.bundle();
  const at::TensorOptions floats = at::TensorOptions().dtype(at::kFloat).device(teacher.placement().device);
  const at::NoGradGuard no_grad;
  try {
    const at::Tensor cache = at::empty({options.cache_mib << 20}, floats.dtype(at::kByte));
    (void)teacher.encode_image(
        at::zeros({options.encode_batch, 3, bundle.image.size, bundle.image.size}, floats));
    (void)teacher.predict(
        at::zeros({batch, bundle.latent.channels, bundle.latent.size, bundle.latent.size}, floats),
        at::zeros({batch}, floats.dtype(at::kLong)),
        at::zeros({batch, bundle.tokenizer.context_length, bundle.context_dim}, floats));
    return true;
  } catch (const std::exception& failure) {
    if (!is_out_of_memory(failure)) throw;
    return false;
  }
}

std::int64_t automatic_micro_batch(DiffusionTeacher& teacher, const DiffusionScoreOptions& options) {
  const BundleLatent& latent = teacher.bundle().latent;
  const bool is_small = latent.channels * latent.size * latent.size <= kSmallLatent;
  // On a CPU a larger batch gains nothing once the cores are busy, and a kill loses one unit.
  if (!teacher.placement().device.is_cuda()) return is_small ? 128 : 4;
  std::int64_t batch = is_small ? 512 : 64;
  while (batch > 1 && !fits(teacher, options, batch)) batch /= 2;
  return batch;
}

std::int64_t micro_batch(DiffusionTeacher& teacher, const DiffusionScoreOptions& options, ScoreStore& store) {
  const std::optional<std::int64_t> kept = store.choice(kMicroBatchChoice);
  if (options.micro_batch == 0 && kept) return *kept;
  const std::int64_t chosen =
      options.micro_batch > 0 ? options.micro_batch : automatic_micro_batch(teacher, options);
  store.keep_choice(kMicroBatchChoice, chosen);
  return chosen;
}

/// Runs the UNet compiled if a package fits. A resumed run that finds another graph than before says so.
void settle_teacher_graph(DiffusionTeacher& teacher, std::int64_t batch, ScoreStore& store) {
  teacher.use_compiled(TeacherGraph::kScore, batch);
  const std::int64_t graph = teacher.runs_compiled(TeacherGraph::kScore, batch) ? kCompiled : kTorchScript;
  if (store.choice(kGraphChoice).value_or(graph) != graph) {
    log_info("{}: continues with the {} UNet; the last bits may differ from those of one graph",
             store.path().string(), teacher.graph_name());
  }
  store.keep_choice(kGraphChoice, graph);
}

/// Records the new batch sizes of a resumed run. Stored samples stay as they are.
void take_over_batch_sizes(const DiffusionScoreOptions& options, ScoreStore& store) {
  for (const auto& [key, value] : {std::pair(std::string("micro_batch"), options.micro_batch),
                                   std::pair(std::string("encode_batch"), options.encode_batch)}) {
    for (const auto& [own_key, stored] : RunIdentity(store.identity()).settings) {
      if (own_key != key || stored == std::to_string(value)) continue;
      log_info(
          "{}: continues with {} {} instead of {}; the last bits may differ from those of one batch size",
          store.path().string(), key, value, stored);
      store.change_setting(key, std::to_string(value));
    }
  }
}

/// Computes and stores the evaluations that are not stored yet. Batches are prepared on one thread, a few ahead
/// of the UNet, and read back and stored on another.
class UnitRunner {
 public:
  UnitRunner(SampleEvaluator& evaluator, ErrorTable& errors, ScoreStore& store)
      : evaluator_(evaluator), errors_(errors), store_(store) {}

  void run(EvaluationUnits plan, Progress& progress, const std::string& note) {
    leave_out_stored(plan);
    const std::string too_large = fmt::format(
        "not enough memory for {} UNet evaluations at once; run again with --resume and a "
        "smaller --micro-batch",
        plan.size);
    std::array<BatchInputs, kBatchesAhead> slots;
    WorkAhead ahead(plan.units.size(), slots.size(), 1, [&](std::size_t i) {
      slots[i % slots.size()] =
          in_memory(too_large, [&] { return evaluator_.prepare(plan.units[i], plan.size); });
    });
    Stopwatch since_last;  // used by the writer alone, as are `errors_`, `store_` and `progress`
    TaskQueue writer(kBatchesWaiting);
    for (std::size_t i = 0; i < plan.units.size(); ++i) {
      throw_if_interrupted();
      ahead.wait_until(i + 1);
      const BatchInputs inputs = std::move(slots[i % slots.size()]);
      ahead.release(i + 1);
      const at::Tensor errors = in_memory(too_large, [&] { return evaluator_.errors(inputs); });
      WorkCounters work = inputs.work;
      work.unet_evaluations = plan.size;
      writer.add([&, i, errors, work]() mutable {
        const std::vector<SampleErrorRow> rows = evaluator_.rows(plan.units[i], errors);
        work.seconds = since_last.seconds();
        since_last = Stopwatch();
        store_.write_errors(rows, work);
        for (const SampleErrorRow& row : rows) errors_.add(row);
        evaluations_ += static_cast<std::int64_t>(rows.size());
        progress.update(evaluations_, note);
      });
    }
    writer.finish();
  }

 private:
  static constexpr std::size_t kBatchesAhead = 4;
  static constexpr std::size_t kBatchesWaiting = 1;

  // A unit is one transaction, so all or nothing of it is stored, unless units had another size before a
  // resume.
  void leave_out_stored(EvaluationUnits& plan) {
    for (std::vector<Evaluation>& unit : plan.units) {
      evaluations_ += static_cast<std::int64_t>(std::erase_if(
          unit, [&](const Evaluation& one) { return errors_.count(one.image, one.text) > one.sample; }));
    }
    std::erase_if(plan.units, [](const std::vector<Evaluation>& unit) { return unit.empty(); });
  }

  SampleEvaluator& evaluator_;
  ErrorTable& errors_;
  ScoreStore& store_;
  std::int64_t evaluations_ = 0;  // with the stored ones
};

/// Everything from which scores are computed.
struct ScoreInputs {
  TextTable texts;
  std::vector<SamplePoint> points;
  ErrorTable errors;
  std::vector<ScoredPair> pairs;       // with the captions' texts
  std::vector<ScoredPair> references;  // with the empty text, if it is subtracted
};

ScoreInputs score_inputs(const CaseTable& table, const std::vector<SamplePoint>& points, bool unconditional,
                         const ScoreStore& store) {
  ScoreInputs inputs{.texts = unique_texts(table),
                     .points = points,
                     .errors = error_table(store.read_errors()),
                     .pairs = {},
                     .references = {}};
  inputs.pairs = caption_pairs(table, inputs.texts);
  if (unconditional) inputs.references = unconditional_pairs(inputs.texts, inputs.pairs);
  return inputs;
}

std::int64_t sample_count(const ScoreInputs& inputs) {
  return static_cast<std::int64_t>(inputs.points.size());
}

std::int64_t full_evaluations(const ScoreInputs& inputs) {
  return static_cast<std::int64_t>(inputs.pairs.size() + inputs.references.size()) * sample_count(inputs);
}

DiffusionScoring scoring_of(CaseScores scores, std::int64_t evaluations, const CaseTable& table,
                            const ScoreInputs& inputs, const ScoreStore& store) {
  check_finite(scores, table);
  return {.scores = std::move(scores),
          .work = store.work(),
          .matches = match_count(table),
          .sample_evaluations = evaluations,
          .full_evaluations = full_evaluations(inputs)};
}

/// The samples for which the run in the store was last asked.
std::vector<SamplePoint> stored_points(const ScoreStore& store) {
  std::vector<SamplePoint> points = store.read_sample_points();
  const std::int64_t samples = store.choice(kSamplesChoice).value_or(0);
  if (samples < 1 || samples > static_cast<std::int64_t>(points.size())) {
    throw input_error("{}: has {} of its {} samples; run again with --resume", store.path().string(),
                      points.size(), samples);
  }
  points.resize(static_cast<std::size_t>(samples));
  return points;
}

// 1, 2, 3, 5, 7, 10, 15, 20, 30, ... and the last one.
std::vector<std::int64_t> curve_samples(std::int64_t last) {
  std::vector<std::int64_t> samples;
  for (std::int64_t decade = 10; decade / 10 < last; decade *= 10) {
    for (const std::int64_t tenths : {10, 15, 20, 30, 50, 70}) {
      const std::int64_t count = decade * tenths / 100;
      const bool is_new = samples.empty() || count > samples.back();
      if (count < last && is_new) samples.push_back(count);
    }
  }
  samples.push_back(last);
  return samples;
}

}  // namespace

RunIdentity diffusion_run_identity(const Bundle& bundle, const Placement& placement,
                                   const std::string& benchmark, const DiffusionScoreOptions& options) {
  return {.scorer = "diffusion",
          .benchmark = benchmark,
          .model_name = bundle.name,
          .model_sha256 = bundle.sha256,
          .settings = identity_settings(options, placement)};
}

RunIdentity diffusion_run_identity(const DiffusionTeacher& teacher, const std::string& benchmark,
                                   const DiffusionScoreOptions& options) {
  return diffusion_run_identity(teacher.bundle(), teacher.placement(), benchmark, options);
}

std::int64_t planned_samples(const Bundle& teacher, const SamplingOptions& sampling) {
  return static_cast<std::int64_t>(sample_timesteps(sampling, teacher.schedule.train_timesteps).size());
}

std::int64_t stored_samples(const ScoreStore& store) {
  return store.choice(kSamplesChoice).value_or(0);
}

DiffusionScoring score_with_diffusion(DiffusionTeacher& teacher, const CaseTable& table,
                                      const DiffusionScoreOptions& options, ScoreStore& store) {
  check_options(options);
  const KeepFreedMemory keep_freed_memory;
  const std::vector<SamplePoint> points = sample_points(options.sampling, teacher);
  check_extension(options, static_cast<std::int64_t>(points.size()), store);
  take_over_batch_sizes(options, store);
  store.keep_choice(kTrainTimestepsChoice, teacher.bundle().schedule.train_timesteps);
  store.write_sample_points(points);
  const BundleLatent& latent = teacher.bundle().latent;
  store.keep_choice(kLatentElementsChoice, latent.channels * latent.size * latent.size);
  const Estimator estimator(options.estimator, points);
  ScoreInputs inputs = score_inputs(table, points, options.estimator.subtract_unconditional, store);

  const std::int64_t batch = micro_batch(teacher, options, store);
  settle_teacher_graph(teacher, batch, store);
  SampleEvaluator evaluator(teacher, table, inputs.texts, options, inputs.points);
  UnitRunner runner(evaluator, inputs.errors, store);
  Progress progress("diffusion score", full_evaluations(inputs), "evaluations", options.quiet);
  CaseScores scores(table);
  std::int64_t evaluations = full_evaluations(inputs);
  if (options.adaptive.enabled) {
    Race race(table, inputs.texts, estimator, sample_count(inputs), options.adaptive);
    for (std::vector<PairSamples> round = race.next_round(inputs.errors); !round.empty();
         round = race.next_round(inputs.errors)) {
      runner.run(round_units(round, batch), progress, fmt::format("{} cases open", race.open_cases()));
    }
    scores = race.scores(inputs.errors, estimator);
    evaluations = race.evaluations();
  } else {
    // The empty text's pairs have their own units, so that the option can be switched on later.
    for (const std::vector<ScoredPair>& pairs : {inputs.pairs, inputs.references}) {
      runner.run(uniform_units(pairs, sample_count(inputs), batch), progress, "");
    }
    scores = score_cases(table, inputs.texts, estimator, inputs.errors, sample_count(inputs));
  }
  DiffusionScoring scoring = scoring_of(std::move(scores), evaluations, table, inputs, store);
  store.write_scores(table, scoring.scores);
  return scoring;
}

DiffusionScoreOptions judging_options(const DiffusionScoreOptions& given, const ScoreStore& store) {
  DiffusionScoreOptions options = options_of_run(store);
  options.sampling.samples = store.choice(kSamplesChoice).value_or(options.sampling.samples);
  options.estimator = given.estimator;
  if (!given.adaptive.enabled) return options;
  if (options.adaptive.enabled && options.adaptive != given.adaptive) {
    throw usage_error(
        "adaptive: the run in {} was scored adaptively with confidence {}, min_samples {} and budget {}, and "
        "has no "
        "samples "
        "for other adaptive options; leave --adaptive out, or use it on a uniform run",
        store.path().string(), options.adaptive.confidence, options.adaptive.min_samples,
        options.adaptive.budget);
  }
  options.adaptive = given.adaptive;
  check_options(options);
  return options;
}

DiffusionScoring judge_stored_diffusion(const CaseTable& table, const DiffusionScoreOptions& options,
                                        const ScoreStore& store) {
  const ScoreInputs inputs =
      score_inputs(table, stored_points(store), options.estimator.subtract_unconditional, store);
  const Estimator estimator(options.estimator, inputs.points);
  if (!options.adaptive.enabled) {
    return scoring_of(score_cases(table, inputs.texts, estimator, inputs.errors, sample_count(inputs)),
                      full_evaluations(inputs), table, inputs, store);
  }
  // The adaptive run's own estimator decided when each candidate stopped.
  const DiffusionScoreOptions run = options_of_run(store);
  const Estimator deciding(run.adaptive.enabled ? run.estimator : options.estimator, inputs.points);
  Race race(table, inputs.texts, deciding, sample_count(inputs), options.adaptive);
  while (!race.next_round(inputs.errors).empty()) {
  }
  return scoring_of(race.scores(inputs.errors, estimator), race.evaluations(), table, inputs, store);
}

std::vector<ConvergencePoint> convergence_curve(const CaseTable& table, const Benchmark& benchmark,
                                                const EstimatorOptions& options, const ScoreStore& store) {
  const ScoreInputs inputs = score_inputs(table, stored_points(store), options.subtract_unconditional, store);
  const Estimator estimator(options, inputs.points);
  std::int64_t shortest = sample_count(inputs);
  for (const std::vector<ScoredPair>& pairs : {inputs.pairs, inputs.references}) {
    for (const ScoredPair& pair : pairs) {
      shortest = std::min(shortest, inputs.errors.count(pair.image, pair.text));
    }
  }
  if (shortest == 0) {
    throw input_error("{}: some pairs have no sample yet; run again with --resume", store.path().string());
  }
  std::vector<ConvergencePoint> curve;
  for (const std::int64_t samples : curve_samples(shortest)) {
    const CaseScores scores = score_cases(table, inputs.texts, estimator, inputs.errors, samples);
    check_finite(scores, table);
    const std::int64_t pairs = static_cast<std::int64_t>(inputs.pairs.size() + inputs.references.size());
    curve.push_back({.samples = samples,
                     .sample_evaluations = samples * pairs,
                     .metrics = summarise(benchmark.judge(table, scores))});
  }
  return curve;
}

}  // namespace sdsclip
