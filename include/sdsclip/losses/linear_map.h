#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

namespace sdsclip {

/// `h_w`, a map from CLIP's image embedding: `Linear(D, N)` in float32.
struct LinearMap {
  at::Tensor weight;  ///< f32[N, D]
  at::Tensor bias;    ///< f32[N]
};

/// Weights uniform in +-1/sqrt(D), as torch's Linear draws them, from the run's own seed and the map's
/// `name`; bias zero. Both require grad.
LinearMap make_linear_map(std::int64_t embed_dim, std::int64_t outputs, std::uint64_t seed,
                          std::string_view name, c10::Device device);

}  // namespace sdsclip
