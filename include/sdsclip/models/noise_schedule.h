#pragma once

#include <ATen/core/Tensor.h>

#include "sdsclip/models/bundle.h"

namespace sdsclip {

/// `alphas_cumprod`, f32[train_timesteps] on the CPU, computed like diffusers' DDPMScheduler: betas are
/// evenly spaced (`linear`) or squares of evenly spaced roots (`scaled_linear`); the result is the running
/// product of 1 - beta.
at::Tensor alphas_cumprod(const BundleSchedule& schedule);

/// `z_t = sqrt(abar_t) z + sqrt(1 - abar_t) eps` (DDPM's forward process).
/// `z`, `noise` f32[B, C, h, w]; `timesteps` i64[B]; `alphas_cumprod` f32[T] on the same device.
at::Tensor add_noise(const at::Tensor& z, const at::Tensor& noise, const at::Tensor& timesteps,
                     const at::Tensor& alphas_cumprod);

/// The target of a v-prediction network: `v = sqrt(abar_t) eps - sqrt(1 - abar_t) z` (Salimans and Ho, 2022).
at::Tensor velocity(const at::Tensor& z, const at::Tensor& noise, const at::Tensor& timesteps,
                    const at::Tensor& alphas_cumprod);

/// Converts a predicted velocity to noise: `eps_hat = sqrt(abar_t) v_hat + sqrt(1 - abar_t) z_t`.
at::Tensor noise_from_velocity(const at::Tensor& predicted_velocity, const at::Tensor& noised,
                               const at::Tensor& timesteps, const at::Tensor& alphas_cumprod);

/// One value per timestep, f32[B, 1, 1, 1], ready to multiply a latent.
at::Tensor gather_timesteps(const at::Tensor& values, const at::Tensor& timesteps);

}  // namespace sdsclip
