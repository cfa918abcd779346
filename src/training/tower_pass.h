#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace sdsclip {

/// Embeds `count` rows of a step's images or texts, starting at row `first`: f32[count, D].
using EncodeRows = std::function<at::Tensor(std::int64_t first, std::int64_t count)>;

/// One CLIP tower in one step of the embedding-gradient cache: first its embeddings, later its parameters'
/// gradients. A single micro-batch keeps its graph in between; otherwise the tower runs again.
class TowerPass {
 public:
  /// (a): embeds all rows. `needs_gradient` says whether `backward` will be called.
  TowerPass(EncodeRows encode, std::int64_t rows, std::int64_t micro_batch, bool needs_gradient);

  /// The embeddings f32[rows, D], without a graph.
  [[nodiscard]] at::Tensor embeddings() const { return embeddings_.detach(); }

  /// (d): adds the parameters' gradients, given the loss's gradient with respect to the embeddings. Does
  /// nothing if no parameter of the tower trains.
  void backward(const at::Tensor& gradient) const;

 private:
  EncodeRows encode_;
  std::int64_t rows_;
  std::int64_t micro_batch_;
  bool keeps_graph_;
  bool trains_ = false;
  at::Tensor embeddings_;
};

}  // namespace sdsclip
