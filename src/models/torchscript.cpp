#include "torchscript.h"

#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <stdexcept>
#include <string_view>
#include <utility>

#include "sdsclip/base/error.h"
#include "sdsclip/models/out_of_memory.h"

namespace sdsclip {
namespace {

using torch::jit::Node;

/// The number of inputs of `aten::convolution`; `aten::_convolution` has cuDNN's settings after them.
constexpr std::size_t kConvolutionInputs = 9;

/// Replaces a traced convolution by one that follows the program's settings. A trace stores the cuDNN
/// settings (TensorFloat-32, determinism) of the machine that made it.
void forget_cudnn_settings(Node* node) {
  torch::jit::Graph& graph = *node->owningGraph();
  Node* const plain = graph.create(at::aten::convolution, node->inputs().slice(0, kConvolutionInputs));
  plain->insertBefore(node);
  plain->copyMetadata(node);
  plain->output()->copyMetadata(node->output());
  node->output()->replaceAllUsesWith(plain->output());
}

/// Keeps constants for shape arithmetic on the CPU, where shapes are, whatever device the archive is on.
void keep_shapes_on_cpu(Node* node) {
  if (!node->hasAttribute(at::attr::value) || node->kindOf(at::attr::value) != torch::jit::AttributeKind::t) {
    return;
  }
  const at::Tensor constant = node->t(at::attr::value);
  if (constant.dim() > 0 || !at::isIntegralType(constant.scalar_type(), /*includeBool=*/false)) return;
  node->t_(at::attr::value, constant.cpu());
}

void mend_block(torch::jit::Block* block) {
  for (torch::jit::graph_node_list_iterator next = block->nodes().begin(); next != block->nodes().end();) {
    Node* const node = *next;
    ++next;  // before the node may be removed
    for (torch::jit::Block* inner : node->blocks()) mend_block(inner);
    if (node->kind() == at::prim::Constant) keep_shapes_on_cpu(node);
    if (node->kind() == at::aten::_convolution) {
      forget_cudnn_settings(node);
      node->destroy();
    }
  }
}

/// Removes what was true only on the machine that made the trace. Call it before the first forward pass,
/// which keeps a copy of the graphs.
void mend_trace(const torch::jit::Module& module) {
  for (const torch::jit::Module& part : module.modules()) {
    for (const torch::jit::Method& method : part.get_methods()) mend_block(method.graph()->block());
  }
}

/// The cause in the interpreter's many lines: the last line that is not empty, without the exception's name.
std::string reason_of(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \n");
  if (end == std::string::npos) return "no reason given";
  const std::size_t line_end = text.rfind('\n', end);
  const std::string last = text.substr(line_end + 1, end - line_end);
  constexpr std::string_view kKind = "RuntimeError: ";
  return last.starts_with(kKind) ? last.substr(kKind.size()) : last;
}

}  // namespace

torch::jit::Module load_archive(const Bundle& bundle, const std::string& file, const Placement& placement) {
  verify_bundle(bundle, {file});
  // The profiling executor specialises a graph after its first calls, which changes low bits between calls.
  // It must be off before the process's first forward pass.
  torch::jit::getProfilingMode() = false;
  const std::string path = (bundle.folder / file).string();
  try {
    torch::jit::Module module = torch::jit::load(path, placement.device);
    module.eval();
    mend_trace(module);
    for (at::Tensor parameter : module.parameters()) parameter.set_requires_grad(false);
    return module;
  } catch (const std::exception& failure) {  // a damaged archive can fail in many parts of LibTorch
    if (is_out_of_memory(failure)) throw;
    const c10::Error* const own = dynamic_cast<const c10::Error*>(&failure);
    const std::string text = own != nullptr ? own->what_without_backtrace() : failure.what();
    throw input_error("{}: not a TorchScript archive that this LibTorch loads ({}); export the bundle again",
                      path, text.substr(0, text.find('\n')));
  }
}

c10::IValue call_method(torch::jit::Module& module, const char* method, std::vector<c10::IValue> inputs) {
  try {
    return module.get_method(method)(std::move(inputs));
  } catch (const std::runtime_error& failure) {
    const std::string reason = reason_of(failure.what());
    if (is_out_of_memory(failure)) C10_THROW_ERROR(OutOfMemoryError, reason);
    throw runtime_failure("LibTorch failed in the bundle's {}: {}", method, reason);
  }
}

void convert_floating(torch::jit::Module& module, at::ScalarType dtype) {
  const auto convert = [dtype](at::Tensor tensor) {
    if (tensor.is_floating_point()) tensor.set_data(tensor.to(dtype));
  };
  for (const at::Tensor& parameter : module.parameters()) convert(parameter);
  for (const at::Tensor& buffer : module.buffers()) convert(buffer);
}

at::ScalarType dtype_of(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
      return at::kFloat;
    case Precision::kBf16:
      return at::kBFloat16;
    case Precision::kFp16:
      break;
  }
  return at::kHalf;
}

}  // namespace sdsclip
