#include "tower_pass.h"

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "micro_batches.h"

namespace sdsclip {
TowerPass::TowerPass(EncodeRows encode, std::int64_t rows, std::int64_t micro_batch, bool needs_gradient)
    : encode_(std::move(encode)),
      rows_(rows),
      micro_batch_(micro_batch),
      keeps_graph_(needs_gradient && (micro_batch <= 0 || micro_batch >= rows)) {
  std::vector<at::Tensor> parts;
  for_each_micro_batch(rows_, micro_batch_, [&](std::int64_t first, std::int64_t count) {
    // Always record the first micro-batch, to see whether anything in the tower trains.
    const at::AutoGradMode record(keeps_graph_ || (needs_gradient && first == 0));
    const at::Tensor part = encode_(first, count);
    trains_ = trains_ || part.requires_grad();
    parts.push_back(keeps_graph_ ? part : part.detach());
  });
  embeddings_ = parts.size() == 1 ? parts.front() : at::cat(parts);
}

void TowerPass::backward(const at::Tensor& gradient) const {
  if (!trains_) return;
  if (keeps_graph_) {
    embeddings_.backward(gradient);
    return;
  }
  for_each_micro_batch(rows_, micro_batch_, [&](std::int64_t first, std::int64_t count) {
    encode_(first, count).backward(gradient.narrow(0, first, count));
  });
}

}  // namespace sdsclip
