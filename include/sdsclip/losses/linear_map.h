#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

namespace sdsclip {

/// `h_w`, a linear map of CLIP's image embedding: `Linear(D, N)` in float32.
struct LinearMap {
  at::Tensor weight;  ///< f32[N, D]
  at::Tensor bias;    ///< f32[N]
};

/// A new map that requires gradients. Weights are uniform in +-1/sqrt(D), like torch's Linear, drawn from the
/// run's seed and the map's `name`; the bias is zero.
LinearMap make_linear_map(std::int64_t embed_dim, std::int64_t outputs, std::uint64_t seed,
                          std::string_view name, c10::Device device);

}  // namespace sdsclip
