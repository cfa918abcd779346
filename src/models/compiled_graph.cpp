#include "compiled_graph.h"

#include <ATen/ATen.h>
#include <dlfcn.h>
#include <link.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/script.h>

#include <string_view>
#include <unordered_map>
#include <utility>

#include "sdsclip/base/error.h"
#include "sdsclip/models/out_of_memory.h"

namespace sdsclip {
namespace {

/// Removes the folder below /tmp into which LibTorch has unpacked a package. The code is in memory by then, so
/// that nothing is left if the process is killed.
void remove_unpacked(const std::string& package) {
  std::string inner = "/" + package + "/data/aotinductor/";
  const auto find = [](dl_phdr_info* info, std::size_t, void* data) {
    std::string& wanted = *static_cast<std::string*>(data);
    const std::string_view path = info->dlpi_name;
    const std::size_t position = path.find(wanted);
    if (position == std::string_view::npos) return 0;
    wanted = path.substr(0, position);
    return 1;
  };
  std::error_code ignored;
  if (::dl_iterate_phdr(find, &inner) == 1) fs::remove_all(inner, ignored);
}

std::string first_line(const std::exception& failure) {
  const c10::Error* const own = dynamic_cast<const c10::Error*>(&failure);
  const std::string text = own != nullptr ? own->what_without_backtrace() : failure.what();
  return text.substr(0, text.find('\n'));
}

/// A package takes LibTorch's functions from the global scope; the program loads its own part out of it.
void make_libtorch_global() {
  if (::dlopen("libtorch_cpu.so", RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL) == nullptr) {
    throw runtime_failure("libtorch_cpu.so: {}; run with --compiled off", ::dlerror());
  }
}

std::unordered_map<std::string, at::Tensor> constants_of(const CompiledPackage& package,
                                                         const torch::jit::Module& unet) {
  std::unordered_map<std::string, at::Tensor> tensors;
  for (const auto& parameter : unet.named_parameters()) tensors[parameter.name] = parameter.value;
  for (const auto& buffer : unet.named_buffers()) tensors[buffer.name] = buffer.value;
  std::unordered_map<std::string, at::Tensor> constants;
  for (const std::string& pair : package.constants) {
    const std::size_t middle = pair.find('=');
    const auto found = middle == std::string::npos ? tensors.end() : tensors.find(pair.substr(middle + 1));
    if (found == tensors.end()) {
      throw input_error(
          "{}: got the constant '{}', expected NAME=TENSOR with a tensor of unet.ts; compile it again",
          package.file.string(), pair);
    }
    constants[pair.substr(0, middle)] = found->second;
  }
  return constants;
}

at::Tensor padded(const at::Tensor& rows, std::int64_t batch) {
  if (rows.size(0) == batch) return rows.contiguous();  // the code is compiled for these strides
  std::vector<std::int64_t> shape = rows.sizes().vec();
  shape[0] = batch - rows.size(0);
  return at::cat({rows, at::zeros(shape, rows.options())});
}

class WeightedError : public torch::autograd::Function<WeightedError> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& /*noised*/,
                            const at::Tensor& /*target*/, const at::Tensor& loss,
                            const at::Tensor& noised_gradient, const at::Tensor& target_gradient,
                            const at::Tensor& upstream) {
    context->save_for_backward({noised_gradient, target_gradient, upstream});
    return loss.clone();
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    const torch::autograd::variable_list saved = context->get_saved_variables();
    const at::Tensor factor = upstream.at(0) / saved[2];
    return {factor * saved[0], factor * saved[1], {}, {}, {}, {}};
  }
};

}  // namespace

CompiledGraph::CompiledGraph(const CompiledPackage& package, const torch::jit::Module& unet,
                             const Placement& placement)
    : batch_(package.batch) {
  verify_package(package);
  const std::unordered_map<std::string, at::Tensor> constants = constants_of(package, unet);
  make_libtorch_global();
  try {
    loader_ = std::make_unique<torch::inductor::AOTIModelPackageLoader>(
        package.file.string(), "model", /*run_single_threaded=*/false, /*num_runners=*/1,
        placement.device.is_cuda() ? placement.device.index() : c10::DeviceIndex(-1));
    remove_unpacked(package.file.stem().string());
    std::unordered_map<std::string, at::Tensor> used;  // the compiler may have dropped some
    for (const std::string& name : loader_->get_constant_fqns()) used[name] = constants.at(name);
    loader_->load_constants(used, /*use_inactive=*/false, /*check_full_update=*/true,
                            /*user_managed=*/true);
  } catch (const std::exception& failure) {
    throw runtime_failure("{}: LibTorch cannot load it ({}); run with --compiled off, or compile it again",
                          package.file.string(), first_line(failure));
  }
}

CompiledGraph::~CompiledGraph() = default;

std::vector<at::Tensor> CompiledGraph::run(std::vector<at::Tensor> inputs) {
  const at::NoGradGuard no_grad;
  const std::int64_t rows = inputs.at(0).size(0);
  for (at::Tensor& input : inputs) input = padded(input.detach(), batch_);
  std::vector<at::Tensor> outputs;
  try {
    outputs = loader_->run(inputs);
  } catch (const std::exception& failure) {
    if (is_out_of_memory(failure)) throw;
    throw runtime_failure("LibTorch failed in the compiled UNet ({}); run with --compiled off",
                          first_line(failure));
  }
  for (at::Tensor& output : outputs) output = output.narrow(0, 0, rows);
  return outputs;
}

at::Tensor weighted_error(CompiledGraph& graph, const at::Tensor& noised, const at::Tensor& timesteps,
                          const at::Tensor& context, const at::Tensor& target, const at::Tensor& weights,
                          const at::Tensor& upstream) {
  const at::Tensor factor = upstream.defined() ? upstream : at::ones({}, weights.options());
  const std::vector<at::Tensor> outputs = graph.run({noised, timesteps, context, target, weights * factor});
  const at::Tensor loss = outputs.at(0).dot(weights);
  return WeightedError::apply(noised, target, loss, outputs.at(1), outputs.at(2), factor);
}

}  // namespace sdsclip
