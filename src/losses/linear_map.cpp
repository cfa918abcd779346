#include "sdsclip/losses/linear_map.h"

#include <ATen/ATen.h>

#include <cmath>

#include "sdsclip/base/random.h"

namespace sdsclip {

LinearMap make_linear_map(std::int64_t embed_dim, std::int64_t outputs, std::uint64_t seed,
                          std::string_view name, c10::Device device) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(embed_dim));
  at::Tensor weight = at::empty({outputs, embed_dim}, at::kFloat);
  float* values = weight.data_ptr<float>();
  RandomSequence random(seed, stream_of(name));
  for (std::int64_t i = 0; i < weight.numel(); ++i)
    values[i] = static_cast<float>(random.uniform(-bound, bound));
  LinearMap map{weight.to(device), at::zeros({outputs}, at::kFloat).to(device)};
  map.weight.set_requires_grad(true);
  map.bias.set_requires_grad(true);
  return map;
}

}  // namespace sdsclip
