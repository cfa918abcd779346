#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace sdsclip {

/// Embeds `count` rows of a step's images or texts from row `first` on: f32[count, D].
using EncodeRows = std::function<at::Tensor(std::int64_t first, std::int64_t count)>;

/// One of CLIP's towers in one step of the embedding-gradient cache: its embeddings now, its parameters'
/// gradients later. Rows that are one micro-batch keep their graph in between; more are run once more.
class TowerPass {
 public:
  /// (a): embeds all rows. `needs_gradient`: whether `backward` will be called.
  TowerPass(EncodeRows encode, std::int64_t rows, std::int64_t micro_batch, bool needs_gradient);

  /// f32[rows, D], without a graph.
  [[nodiscard]] at::Tensor embeddings() const { return embeddings_.detach(); }

  /// (d): adds the parameters' gradients, given the loss's with respect to the embeddings. Nothing is done,
  /// nor embedded again, where no parameter of the tower trains.
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
