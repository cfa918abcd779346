#pragma once

#include <cstdint>

namespace sdsclip {

/// Counts of a run's computations, for comparing the cost of losses and scorers.
struct WorkCounters {
  std::int64_t unet_evaluations = 0;  ///< latents through the UNet, not batches; padding counts
  std::int64_t vae_encodings = 0;     ///< images through the VAE
  std::int64_t text_encodings = 0;    ///< texts through CLIP's or the teacher's text encoder
  std::int64_t image_encodings = 0;   ///< images through CLIP's image encoder
  double seconds = 0;                 ///< wall-clock time of a scorer's loop
};

inline WorkCounters operator-(const WorkCounters& a, const WorkCounters& b) {
  return {.unet_evaluations = a.unet_evaluations - b.unet_evaluations,
          .vae_encodings = a.vae_encodings - b.vae_encodings,
          .text_encodings = a.text_encodings - b.text_encodings,
          .image_encodings = a.image_encodings - b.image_encodings,
          .seconds = a.seconds - b.seconds};
}

}  // namespace sdsclip
