#include "sdsclip/training/trainer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "auto_micro_batch.h"
#include "batch_assembly.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/interrupt.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/memory.h"
#include "sdsclip/base/progress.h"
#include "sdsclip/base/stopwatch.h"
#include "sdsclip/base/text.h"
#include "sdsclip/models/safetensors.h"
#include "sdsclip/models/trainable.h"
#include "sdsclip/training/checkpoint.h"
#include "sdsclip/training/evaluation.h"
#include "sdsclip/training/optimizer.h"
#include "sdsclip/training/run_log.h"
#include "sdsclip/training/stored_config.h"
#include "sdsclip/training/tensorboard.h"
#include "step_runner.h"
#include "training_setup.h"

namespace sdsclip {
namespace {

constexpr const char* kScratch = "evaluation.tmp";

/// Fails if `out` holds a run that this one must not touch; writes `config.yaml` if there is none. Returns
/// whether to continue what is there: with --resume, or if the same run is complete, to show its result
/// again.
bool claim_folder(const TrainConfig& config, const TrainRun& run) {
  const fs::path file = run.out / "config.yaml";
  if (!is_there(file)) {
    create_folder(run.out);
    write_config(config, file);
    return run.resume;
  }
  const bool is_changed = check_same_run(file, config);
  const bool has_ended = is_there(run.out / "tuned.safetensors") && is_there(run.out / "checkpoints");
  if (!run.resume && !has_ended) {
    throw usage_error("{}: holds a run already; continue it with --resume, or choose another --out",
                      run.out.string());
  }
  if (is_changed) write_config(config, file);
  return true;
}

std::int64_t total_steps(const TrainOptions& options, std::int64_t batches_per_epoch) {
  constexpr double kMost = 0x1.0p53;
  if (options.steps > 0) return options.steps;
  const double steps = options.epochs * static_cast<double>(batches_per_epoch);
  if (steps > kMost)
    throw usage_error("train.epochs: got {}, which is {} steps; give fewer epochs", options.epochs, steps);
  return std::max<std::int64_t>(1, std::llround(steps));
}

constexpr std::string_view kAdvice = "try a lower train.lr or weight, or train.precision=fp32";

/// Calls `action` and adds to its error the step, the place of the last good checkpoint, and what to try.
template <typename Action>
auto with_advice(std::int64_t step, const fs::path& out, Action&& action) {
  try {
    return action();
  } catch (const NotFiniteError& failure) {
    throw runtime_failure("step {}: {}; the last good checkpoint is kept in {}; {}", step, failure.what(),
                          (out / "checkpoints").string(), kAdvice);
  }
}

std::vector<at::Tensor> copies_of(const std::vector<NamedTensor>& tensors) {
  std::vector<at::Tensor> copies;
  for (const NamedTensor& tensor : tensors) copies.push_back(tensor.second.detach().clone());
  return copies;
}

std::string progress_note(const StepResult& result) {
  std::string note = fmt::format("loss {:.4f}", result.total);
  if (result.contrastive && result.sds)
    note += fmt::format(" (CLIP {:.4f}, SDS {:.4f})", result.contrastive->loss, result.sds->loss);
  return note;
}

/// One process's part of a training run: from its folder's state to the end or an interrupt.
class TrainingLoop {
 public:
  TrainingLoop(const TrainConfig& config, const TrainRun& run)
      : config_(config),
        run_(run),
        setup_(config, prepare_compute({.device = run.device,
                                        .precision = config.train.precision,
                                        .deterministic = config.train.deterministic,
                                        .threads = run.threads})),
        before_(copies_of(setup_.tuned)),
        optimizer_(setup_.trained, config.train),
        steps_(total_steps(config.train, setup_.dataset->size() / config.train.batch_size)),
        runner_(config_, setup_, optimizer_, steps_) {
    if (!config.evaluate.benchmarks.empty()) evaluation_.emplace(config.evaluate, config.data);
    state_.loss_scale = first_loss_scale(config.train.precision);
    if (claim_folder(config, run)) resume();
    std::vector<NamedTensor> touched = setup_.trained;
    touched.insert(touched.end(), setup_.tuned.begin(), setup_.tuned.end());
    settle_micro_batches(config_.train, setup_.models(), runner_.options(state_), touched, run.out);
    if (!setup_.teacher) return;
    settle_teacher_graph(config_, *setup_.teacher, state_.step > 0, run.out);
    // Trial steps of `auto` are not work of the run.
    work_before_ = setup_.teacher->work();
  }

  TrainSummary run();

 private:
  void resume();
  std::unique_ptr<PendingStep> queue_step(CaptionLoader& loader);
  void finish_step(Progress& progress);
  void step(CaptionLoader& loader, Progress& progress);
  void evaluate();
  void save();
  [[nodiscard]] bool is_done() const { return state_.step >= steps_ || state_.stopped; }
  [[nodiscard]] bool evaluation_due() const;
  [[nodiscard]] bool checkpoint_due() const;
  void write_tuned(const char* file) const;

  TrainConfig config_;
  TrainRun run_;
  Stopwatch since_start_;
  TrainingSetup setup_;
  std::vector<at::Tensor> before_;  // the bundle's values of `tuned`
  Optimizer optimizer_;
  std::int64_t steps_;  // of the whole run
  StepRunner runner_;
  std::unique_ptr<PendingStep> pending_;  // its measurements are read after the next step is queued
  std::optional<Evaluation> evaluation_;
  TrainingState state_;
  std::int64_t saved_step_ = -1;  // of the newest checkpoint
  WorkCounters work_before_;
  double waited_ = 0;  // time spent waiting for data, in seconds
  std::optional<RunLog> log_;
  std::optional<RunLog> evaluations_;
  std::optional<EventLog> events_;
  Stopwatch since_save_;
  TrainSummary summary_;
};

void TrainingLoop::resume() {
  const std::int64_t batch = config_.train.batch_size;
  const CheckpointLimits limits{.batch_size = batch,
                                .batches_per_epoch = setup_.dataset->size() / batch,
                                .total_steps = steps_,
                                .precision = config_.train.precision};
  const std::optional<TrainingState> found =
      load_newest_checkpoint(run_.out, limits, setup_.trained, optimizer_);
  if (found) {
    state_ = *found;
    saved_step_ = state_.step;
  }
  merge_lora(setup_.lora);
  if (!is_done()) log_info("{}: continues after step {}", run_.out.string(), state_.step);
}

/// Saves a checkpoint. An evaluation changes only the state, so its step's tensors are not written again.
void TrainingLoop::save() {
  if (saved_step_ == state_.step) {
    save_checkpoint_state(run_.out, state_, config_.train.keep_checkpoints);
  } else {
    with_advice(state_.step, run_.out, [&] {
      save_checkpoint(run_.out, state_, setup_.trained, optimizer_, config_.train.keep_checkpoints);
    });
  }
  saved_step_ = state_.step;
  since_save_ = Stopwatch();
}

bool TrainingLoop::evaluation_due() const {
  if (!evaluation_ || state_.evaluated_step == state_.step || state_.step == 0) return false;
  const std::int64_t every = config_.train.evaluate_every;
  return state_.step == steps_ || (every > 0 && state_.step % every == 0);
}

bool TrainingLoop::checkpoint_due() const {
  const std::int64_t every = config_.train.checkpoint_every;
  const double minutes = config_.train.checkpoint_minutes;
  return state_.step == steps_ || (every > 0 && state_.step % every == 0) ||
         (minutes > 0 && since_save_.seconds() >= 60 * minutes);
}

/// Writes the tensors that differ from the bundle, and h_w.
void TrainingLoop::write_tuned(const char* file) const {
  std::vector<NamedTensor> changed;
  for (std::size_t i = 0; i < setup_.tuned.size(); ++i) {
    const NamedTensor& tensor = setup_.tuned[i];
    const bool is_map = owner_of(tensor.first) == ParameterOwner::kMap;
    if (is_map || !at::equal(tensor.second, before_[i])) changed.push_back(tensor);
  }
  with_advice(state_.step, run_.out, [&] { check_finite_tensors(changed); });
  write_safetensors(run_.out / file, changed,
                    {{"format", "pt"},
                     {"clip", setup_.clip_bundle.name},
                     {"clip_sha256", setup_.clip_bundle.sha256},
                     {"teacher", config_.teacher}});
}

/// Loads a batch and queues its step.
std::unique_ptr<PendingStep> TrainingLoop::queue_step(CaptionLoader& loader) {
  const Stopwatch stopwatch;
  const Batch batch = loader.next();
  const double wait = loader.statistics().wait_seconds - waited_;
  waited_ += wait;
  std::unique_ptr<PendingStep> pending = runner_.queue(assemble_batch(config_, setup_, batch), state_);
  ++state_.step;
  state_.position = batch.next;
  ++summary_.steps_this_process;
  pending->seconds = stopwatch.seconds();
  pending->wait = wait;
  return pending;
}

/// Waits for the step that is queued, if any, and logs it.
void TrainingLoop::finish_step(Progress& progress) {
  if (!pending_) return;
  const std::unique_ptr<PendingStep> pending = std::move(pending_);
  with_advice(pending->step, run_.out, [&] { runner_.finish(*pending, state_); });
  summary_.last = pending->numbers->result;
  const nlohmann::ordered_json line = step_line(pending->step, summary_.last, pending->times);
  log_->write(line);
  events_->write(pending->step, flatten_scalars(line));
  progress.update(pending->step, progress_note(summary_.last));
}

/// Queues a step and then finishes the one before, so that the device never waits for the host.
void TrainingLoop::step(CaptionLoader& loader, Progress& progress) {
  std::unique_ptr<PendingStep> next;
  try {
    next = queue_step(loader);
  } catch (...) {
    finish_step(progress);  // its own failure, if any, came first
    throw;
  }
  finish_step(progress);
  pending_ = std::move(next);
}

/// Evaluates the student and keeps its weights if they are the best so far.
void TrainingLoop::evaluate() {
  summary_.evaluation = evaluation_->run(setup_.clip, run_.out / kScratch);
  const std::string name = deciding_metric(config_.evaluate);
  const std::optional<Metric> deciding = find_metric(summary_.evaluation, name);
  if (!deciding) throw runtime_failure("the evaluation has no metric {}", name);  // checked at the start
  evaluations_->write(evaluation_line(state_.step, summary_.evaluation));
  events_->write(state_.step, evaluation_scalars(summary_.evaluation));
  log_info("after step {}: {} {:.4f}", state_.step, name, deciding->value);
  state_.evaluated_step = state_.step;
  if (state_.best_step < 0 || deciding->value > state_.best_value) {
    state_.best_step = state_.step;
    state_.best_value = deciding->value;
    state_.worse_in_a_row = 0;
    write_tuned("best.safetensors");
  } else {
    ++state_.worse_in_a_row;
  }
  const std::int64_t patience = config_.evaluate.patience;
  state_.stopped = patience > 0 && state_.worse_in_a_row >= patience;
  if (state_.stopped && state_.step < steps_) {
    log_info("stopped after step {}: {} has not been above {:.4f} (step {}) for {} evaluations", state_.step,
             name, state_.best_value, state_.best_step, patience);
  }
}

TrainSummary TrainingLoop::run() {
  const KeepFreedMemory keep_freed_memory;
  CaptionLoader loader(*setup_.dataset, setup_.clip_tokenizer, loader_options(config_, setup_),
                       state_.position);
  summary_.trained_parameters = element_count(setup_.trained);
  log_info("{} pairs, {} steps of {}, {} trainable parameters in {} tensors", setup_.dataset->size(), steps_,
           config_.train.batch_size, summary_.trained_parameters, setup_.trained.size());
  log_.emplace(run_.out / "log.jsonl", state_.step);
  if (evaluation_) evaluations_.emplace(run_.out / "evaluations.jsonl", state_.evaluated_step);
  events_.emplace(run_.out / "tensorboard", state_.step);
  Progress progress("train", steps_, "steps", run_.quiet, state_.step);

  while (true) {
    if (evaluation_due()) {
      finish_step(progress);
      save();  // so that no step is lost if the evaluation fails
      evaluate();
      save();
    }
    if (is_done()) break;
    step(loader, progress);
    // An evaluation saves by itself right after this.
    if (interrupt_requested() || (checkpoint_due() && !evaluation_due())) {
      finish_step(progress);
      save();
    }
    if (state_.step < steps_) throw_if_interrupted();
  }

  write_tuned("tuned.safetensors");
  // Again, for those that could not be removed earlier.
  remove_old_checkpoints(run_.out, state_, config_.train.keep_checkpoints);
  std::error_code ignored;
  fs::remove_all(run_.out / kScratch, ignored);
  if (summary_.steps_this_process == 0) summary_.last = read_last_losses(run_.out / "log.jsonl");
  if (evaluation_ && summary_.evaluation.empty()) {
    summary_.evaluation = read_last_evaluation(run_.out / "evaluations.jsonl");
  }
  summary_.steps = state_.step;
  summary_.best_step = state_.best_step;
  summary_.bad_samples = loader.statistics().bad_samples;
  summary_.seconds = since_start_.seconds();
  summary_.wait_share = waited_ / summary_.seconds;
  if (setup_.teacher) {
    summary_.work = setup_.teacher->work() - work_before_;
    summary_.teacher_graph = setup_.teacher->graph_name();
  }
  summary_.work.image_encodings = summary_.steps_this_process * config_.train.batch_size;
  return summary_;
}

}  // namespace

StepOptions step_options(const TrainConfig& config, std::int64_t step) {
  StepOptions options;
  options.contrastive_weight = config.contrastive.weight;
  options.contrastive_kind = config.contrastive.kind;
  options.sds = config.sds;
  options.feature = config.feature;
  options.rank_weight = config.rank.weight;
  options.rank_temperature = config.rank.temperature;
  options.micro_batch_clip = config.train.micro_batch_clip;
  options.micro_batch_unet = config.train.micro_batch_unet;
  options.seed = static_cast<std::uint64_t>(config.seed);
  options.step = step;
  options.warm_up_map = uses_teacher(config) && step < config.sds.warmup_steps;
  options.diagnose = config.train.diagnose_every > 0 && step % config.train.diagnose_every == 0;
  return options;
}

TrainSummary train(const TrainConfig& config, const TrainRun& run) {
  check_train_config(config);
  warn_of_unused_options(config);
  return TrainingLoop(config, run).run();
}

}  // namespace sdsclip
