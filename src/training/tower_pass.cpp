#include "tower_pass.h"

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "micro_batches.h"

namespace sdsclip {
namespace {

void backward_from(const at::Tensor& embeddings, const at::Tensor& gradient) {
  if (embeddings.requires_grad()) embeddings.backward(gradient);
}

}  // namespace

TowerPass::TowerPass(EncodeRows encode, std::int64_t rows, std::int64_t micro_batch, bool needs_gradient)
    : encode_(std::move(encode)),
      rows_(rows),
      micro_batch_(micro_batch),
      keeps_graph_(needs_gradient && (micro_batch <= 0 || micro_batch >= rows)) {
  const at::AutoGradMode record(keeps_graph_);
  std::vector<at::Tensor> parts;
  for_each_micro_batch(rows_, micro_batch_, [&](std::int64_t first, std::int64_t count) {
    parts.push_back(encode_(first, count));
  });
  embeddings_ = parts.size() == 1 ? parts.front() : at::cat(parts);
}

void TowerPass::backward(const at::Tensor& gradient) const {
  if (keeps_graph_) {
    backward_from(embeddings_, gradient);
    return;
  }
  for_each_micro_batch(rows_, micro_batch_, [&](std::int64_t first, std::int64_t count) {
    backward_from(encode_(first, count), gradient.narrow(0, first, count));
  });
}

}  // namespace sdsclip
