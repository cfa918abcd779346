#include "sdsclip/models/clip_model.h"

#include <fmt/ranges.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/json.h"
#include "sdsclip/base/sha256.h"
#include "sdsclip/models/safetensors.h"
#include "sdsclip/models/trainable.h"
#include "torchscript.h"

namespace sdsclip {
namespace {

constexpr const char* kArchive = "clip.ts";

void check_embeddings(const at::Tensor& embeddings, const Bundle& bundle, const char* method) {
  if (embeddings.dim() != 2 || embeddings.size(1) != bundle.embed_dim) {
    throw input_error("{}: {} gave shape {}, expected [B, {}] (embed_dim of bundle.json)",
                      bundle.folder.string(), method,
                      fmt::format("[{}]", fmt::join(embeddings.sizes(), ", ")), bundle.embed_dim);
  }
}

at::Tensor call(torch::jit::Module& module, const char* method, const at::Tensor& input,
                const ClipModel& model) {
  const AutocastScope autocast(model.placement());
  const at::Tensor output =
      call_method(module, method, {input.to(model.placement().device, /*non_blocking=*/true)}).toTensor();
  check_embeddings(output, model.bundle(), method);
  return output.to(at::kFloat);
}

/// The module as a TorchScript archive in memory, because LibTorch's own file writer ends the process on a
/// full disk.
std::string archive_of(const ClipModel& model) {
  std::ostringstream stream;
  model.module().save(stream);
  return std::move(stream).str();
}

}  // namespace

ClipModel::ClipModel(const Bundle& bundle, const Placement& placement)
    : bundle_(bundle),
      placement_(placement),
      module_(std::make_unique<torch::jit::Module>(load_archive(bundle, kArchive, placement))) {
  for (const char* method : {"encode_image", "encode_text"}) {
    if (!module_->find_method(method)) {
      throw input_error("{}/clip.ts: has no method '{}'; export the bundle again", bundle.folder.string(),
                        method);
    }
  }
  if (!module_->hasattr("logit_scale")) {
    throw input_error("{}/clip.ts: has no parameter 'logit_scale'; export the bundle again",
                      bundle.folder.string());
  }
}

ClipModel::~ClipModel() = default;
ClipModel::ClipModel(ClipModel&&) noexcept = default;
ClipModel& ClipModel::operator=(ClipModel&&) noexcept = default;

at::Tensor ClipModel::encode_image(const at::Tensor& pixels) const {
  return call(*module_, "encode_image", pixels, *this);
}

at::Tensor ClipModel::encode_text(const at::Tensor& ids) const {
  return call(*module_, "encode_text", ids, *this);
}

at::Tensor ClipModel::logit_scale() const {
  return module_->attr("logit_scale").toTensor();
}

at::Tensor ClipModel::logit_bias() const {
  if (!module_->hasattr("logit_bias")) return {};
  const c10::IValue value = module_->attr("logit_bias");
  return value.isTensor() ? value.toTensor() : at::Tensor();
}

std::vector<NamedTensor> ClipModel::parameters() const {
  std::vector<NamedTensor> list;
  for (const auto& parameter : module_->named_parameters())
    list.emplace_back(parameter.name, parameter.value);
  return list;
}

std::vector<NamedTensor> ClipModel::buffers() const {
  std::vector<NamedTensor> list;
  for (const auto& buffer : module_->named_buffers()) list.emplace_back(buffer.name, buffer.value);
  return list;
}

void load_tuned(ClipModel& model, const std::filesystem::path& file) {
  std::map<std::string, at::Tensor> own;
  for (const NamedTensor& parameter : model.parameters()) own.insert(parameter);
  const at::NoGradGuard no_grad;
  for (const NamedTensor& tuned : read_safetensors(file).tensors) {
    if (owner_of(tuned.first) == ParameterOwner::kMap) continue;
    const auto found = own.find(tuned.first);
    if (found == own.end()) {
      throw input_error("{}: has a tensor '{}' that {} does not have; was it tuned from another model?",
                        file.string(), tuned.first, model.bundle().folder.string());
    }
    at::Tensor& target = found->second;
    if (target.sizes() != tuned.second.sizes() || target.scalar_type() != tuned.second.scalar_type()) {
      throw input_error("{}: tensor '{}' is {} [{}], expected {} [{}] as in {}", file.string(), tuned.first,
                        c10::toString(tuned.second.scalar_type()), fmt::join(tuned.second.sizes(), ", "),
                        c10::toString(target.scalar_type()), fmt::join(target.sizes(), ", "),
                        model.bundle().folder.string());
    }
    target.copy_(tuned.second);
  }
}

void save_bundle(const ClipModel& model, const std::string& name, const std::filesystem::path& folder) {
  if (is_there(folder)) {
    throw usage_error("{}: exists already; remove it or choose another --out", folder.string());
  }
  const Bundle& bundle = model.bundle();
  AtomicFolder made(folder);
  for (const std::pair<const std::string, BundleFile>& file : bundle.files) {
    if (file.first == kArchive) continue;
    write_file_atomically(made.path() / file.first, read_file(bundle.folder / file.first, kAnySize));
  }
  const fs::path archive = made.path() / kArchive;
  write_file_atomically(archive, archive_of(model));
  const fs::path json = bundle.folder / "bundle.json";
  nlohmann::ordered_json document = read_json_file(json, kSmallFileBytes);
  document["name"] = name;
  document["files"][kArchive] = {{"bytes", fs::file_size(archive)}, {"sha256", sha256_of_file(archive)}};
  write_file_atomically(made.path() / "bundle.json", document.dump(2) + "\n");
  made.commit();
}

}  // namespace sdsclip
