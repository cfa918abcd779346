#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sdsclip/base/options.h"
#include "sdsclip/data/preprocess.h"

namespace sdsclip {

/// How the samples' timesteps are chosen.
enum class TimestepGrid {
  kNested,        ///< van der Corput's sequence, shifted by the seed: every prefix covers the range evenly
  kEven,          ///< the middles of `samples` equal parts of the range (diffusion-classifier)
  kDiffusionItm,  ///< range(10, 990, 1000 // samples) (diffusion-itm); always over all timesteps
};

/// What is drawn. These options determine the stored errors.
struct SamplingOptions {
  std::int64_t samples = 50;
  std::int64_t seed = 0;
  double t_min = 0.0;
  double t_max = 1.0;
  TimestepGrid grid = TimestepGrid::kNested;
};
void visit_options(OptionVisitor& visitor, SamplingOptions& options);

/// The distance between the predicted and the true noise.
enum class ErrorNorm {
  kL2,          ///< sum of squares over the latent (the paper's equations 1 and 2)
  kL1,          ///< sum of absolute values
  kL2Unsquared  ///< square root of the sum of squares (diffusion-itm)
};

/// The quantity whose error counts: the noise, or the velocity with error (eps_hat - eps) / sqrt(abar_t).
enum class ErrorTarget { kEps, kV };

/// How stored errors become a score. These options change no stored error, so a finished run can be judged
/// anew.
struct EstimatorOptions {
  ErrorNorm norm = ErrorNorm::kL2;
  ErrorTarget error = ErrorTarget::kEps;
  std::string weight = "uniform";
  bool subtract_unconditional = false;
};
void visit_options(OptionVisitor& visitor, EstimatorOptions& options);

/// Adaptive sampling (racing): spends samples where a decision is open; see docs/diffusion-score.md.
struct AdaptiveOptions {
  bool enabled = false;
  double confidence = 0.998;
  std::int64_t min_samples = 4;
  double budget = 0;
  bool operator==(const AdaptiveOptions&) const = default;
};
void visit_options(OptionVisitor& visitor, AdaptiveOptions& options);

struct DiffusionScoreOptions {
  SamplingOptions sampling;
  EstimatorOptions estimator;
  AdaptiveOptions adaptive;
  std::optional<ResizeMode> resize;  ///< none: as the bundle says
  ConvertOrder convert = ConvertOrder::kFirst;
  std::int64_t micro_batch = 0;
  std::int64_t encode_batch = 8;
  std::int64_t cache_mib = 2048;
  std::int64_t workers = 0;
  bool quiet = false;
};
void visit_options(OptionVisitor& visitor, DiffusionScoreOptions& options);

/// The file of an `EstimatorOptions::weight` of `learned:FILE`; nothing if the weight is another one.
std::optional<std::string> learned_weights_file(const std::string& weight);

inline constexpr std::array<std::string_view, 3> kPresetNames = {"paper", "diffusion-itm",
                                                                 "diffusion-classifier"};

/// Sets the options that a preset fixes and keeps the others: `paper` (50 samples, equations 1 and 2),
/// `diffusion-itm` (Krojer et al., 2023), `diffusion-classifier` (Li et al., 2023). Throws `Error(kUsage)`
/// that lists the presets if `name` is another one.
void apply_preset(std::string_view name, DiffusionScoreOptions& options);

/// Throws `Error(kUsage)` that names the option if a value is out of range or contradicts another one.
void check_options(const DiffusionScoreOptions& options);

}  // namespace sdsclip
