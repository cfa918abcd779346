#include "sdsclip/training/checkpoint.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/options.h"
#include "sdsclip/base/sha256.h"
#include "sdsclip/models/safetensors.h"

namespace sdsclip {

namespace fs = std::filesystem;

/// `state.json`: the last file of a checkpoint, with the digest of the other.
struct CheckpointDocument {
  std::int64_t schema = 1;
  TrainingState state;
  std::string tensors_sha256;
};

void visit_options(OptionVisitor& visitor, LoaderPosition& position) {
  visitor.option("epoch", position.epoch, "epoch of the next batch");
  visitor.option("step", position.step, "batches of it that are taken");
  visitor.option("cursor", position.cursor, "positions of its order that are used up");
  visitor.option("bad_samples", position.bad_samples, "of them");
}

void visit_options(OptionVisitor& visitor, LossScale& scale) {
  visitor.option("value", scale.value, "the factor");
  visitor.option("good_steps", scale.good_steps, "in a row");
}

void visit_options(OptionVisitor& visitor, CheckpointDocument& document) {
  TrainingState& state = document.state;
  visitor.option("schema", document.schema, "1");
  visitor.option("step", state.step, "steps that are done");
  visitor.section("position", state.position, "of the next batch");
  visitor.section("loss_scale", state.loss_scale, "of float16");
  visitor.option("evaluated_step", state.evaluated_step, "of the last evaluation");
  visitor.option("best_step", state.best_step, "of the evaluation with the best value");
  visitor.option("best_value", state.best_value, "there");
  visitor.option("worse_in_a_row", state.worse_in_a_row, "evaluations since the best one");
  visitor.option("stopped", state.stopped, "by evaluate.patience");
  visitor.option("tensors_sha256", document.tensors_sha256, "of tensors.safetensors");
}

namespace {

constexpr const char* kFolder = "checkpoints";
constexpr const char* kTensors = "tensors.safetensors";
constexpr const char* kState = "state.json";
constexpr std::string_view kStepPrefix = "step-";

std::string to_json(const CheckpointDocument& document) {
  const TrainingState& state = document.state;
  const LoaderPosition& position = state.position;
  const nlohmann::ordered_json json = {
      {"schema", document.schema},
      {"step", state.step},
      {"position",
       {{"epoch", position.epoch},
        {"step", position.step},
        {"cursor", position.cursor},
        {"bad_samples", position.bad_samples}}},
      {"loss_scale", {{"value", state.loss_scale.value}, {"good_steps", state.loss_scale.good_steps}}},
      {"evaluated_step", state.evaluated_step},
      {"best_step", state.best_step},
      {"best_value", state.best_value},
      {"worse_in_a_row", state.worse_in_a_row},
      {"stopped", state.stopped},
      {"tensors_sha256", document.tensors_sha256}};
  return json.dump(2) + "\n";
}

/// The checkpoints of a run, newest first. Half-written ones have other names.
std::vector<std::pair<std::int64_t, fs::path>> list_checkpoints(const fs::path& out) {
  std::vector<std::pair<std::int64_t, fs::path>> list;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(out / kFolder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kStepPrefix)) continue;
    const std::string digits = name.substr(kStepPrefix.size());
    if (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos)
      continue;
    list.emplace_back(std::stoll(digits), entry.path());
  }
  std::sort(list.rbegin(), list.rend());
  return list;
}

struct LoadedCheckpoint {
  TrainingState state;
  std::vector<NamedTensor> tensors;
};

/// Throws `Error(kInput)` where any part of it is damaged.
LoadedCheckpoint read_checkpoint(const fs::path& folder) {
  const fs::path json = folder / kState;
  CheckpointDocument document;
  bind_options(parse_json(read_file(json), json.string()), document, DocumentRole::kInput);
  const fs::path tensors = folder / kTensors;
  if (sha256_of_file(tensors) != document.tensors_sha256) {
    throw input_error("{}: its SHA-256 is not the one in {}", tensors.string(), json.string());
  }
  return {document.state, read_safetensors(tensors).tensors};
}

void copy_into(const NamedTensor& target, const std::map<std::string, at::Tensor>& stored,
               const fs::path& folder) {
  const auto found = stored.find(target.first);
  if (found == stored.end() || found->second.sizes() != target.second.sizes()) {
    throw input_error(
        "{}: has no tensor '{}' of this run's shape; it is a checkpoint of another model or configuration",
        folder.string(), target.first);
  }
  at::Tensor destination = target.second;
  destination.copy_(found->second);
}

}  // namespace

void save_checkpoint(const fs::path& out, const TrainingState& state, const std::vector<NamedTensor>& trained,
                     const Optimizer& optimizer, std::int64_t keep) {
  AtomicFolder folder(out / kFolder / fmt::format("{}{}", kStepPrefix, state.step));
  std::vector<NamedTensor> tensors = trained;
  const std::vector<NamedTensor> moments = optimizer.state();
  tensors.insert(tensors.end(), moments.begin(), moments.end());
  write_safetensors(folder.path() / kTensors, tensors);
  CheckpointDocument document;
  document.state = state;
  document.tensors_sha256 = sha256_of_file(folder.path() / kTensors);
  write_file_atomically(folder.path() / kState, to_json(document));
  folder.commit();

  const std::vector<std::pair<std::int64_t, fs::path>> list = list_checkpoints(out);
  for (std::size_t i = static_cast<std::size_t>(keep); i < list.size(); ++i) {
    if (list[i].first == state.best_step) continue;
    std::error_code ignored;
    fs::remove_all(list[i].second, ignored);
  }
}

std::optional<TrainingState> load_newest_checkpoint(const fs::path& out,
                                                    const std::vector<NamedTensor>& trained,
                                                    Optimizer& optimizer) {
  for (const auto& [step, folder] : list_checkpoints(out)) {
    LoadedCheckpoint checkpoint;
    try {
      checkpoint = read_checkpoint(folder);
    } catch (const Error& damage) {
      log_warning("{}: damaged, trying the checkpoint before it ({})", folder.string(), damage.what());
      continue;
    }
    const at::NoGradGuard no_grad;
    const std::map<std::string, at::Tensor> stored(checkpoint.tensors.begin(), checkpoint.tensors.end());
    for (const NamedTensor& tensor : trained) copy_into(tensor, stored, folder);
    optimizer.restore(checkpoint.tensors);
    return checkpoint.state;
  }
  return std::nullopt;
}

}  // namespace sdsclip
