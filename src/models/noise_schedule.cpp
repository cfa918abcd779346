#include "sdsclip/models/noise_schedule.h"

#include <ATen/Functions.h>

#include <cmath>

namespace sdsclip {

at::Tensor alphas_cumprod(const BundleSchedule& schedule) {
  const at::TensorOptions options = at::TensorOptions().dtype(at::kFloat);
  const bool scaled = schedule.beta_schedule == "scaled_linear";
  const double first = scaled ? std::sqrt(schedule.beta_start) : schedule.beta_start;
  const double last = scaled ? std::sqrt(schedule.beta_end) : schedule.beta_end;
  const at::Tensor spaced = at::linspace(first, last, schedule.train_timesteps, options);
  const at::Tensor betas = scaled ? spaced.pow(2) : spaced;
  return (1.0 - betas).cumprod(0);
}

at::Tensor gather_timesteps(const at::Tensor& values, const at::Tensor& timesteps) {
  return values.index_select(0, timesteps).view({-1, 1, 1, 1});
}

at::Tensor add_noise(const at::Tensor& z, const at::Tensor& noise, const at::Tensor& timesteps,
                     const at::Tensor& alphas_cumprod) {
  const at::Tensor abar = gather_timesteps(alphas_cumprod, timesteps);
  return abar.sqrt() * z + (1.0 - abar).sqrt() * noise;
}

at::Tensor velocity(const at::Tensor& z, const at::Tensor& noise, const at::Tensor& timesteps,
                    const at::Tensor& alphas_cumprod) {
  const at::Tensor abar = gather_timesteps(alphas_cumprod, timesteps);
  return abar.sqrt() * noise - (1.0 - abar).sqrt() * z;
}

at::Tensor noise_from_velocity(const at::Tensor& predicted_velocity, const at::Tensor& noised,
                               const at::Tensor& timesteps, const at::Tensor& alphas_cumprod) {
  const at::Tensor abar = gather_timesteps(alphas_cumprod, timesteps);
  return abar.sqrt() * predicted_velocity + (1.0 - abar).sqrt() * noised;
}

}  // namespace sdsclip
