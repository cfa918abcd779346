#include "estimator.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "sdsclip/base/error.h"
#include "sdsclip/base/random.h"
#include "sdsclip/benchmarks/text_table.h"
#include "sdsclip/scoring/timestep_weights.h"

namespace sdsclip {
namespace {

constexpr std::int64_t kMaxPairs = 50'000'000;  // 50 samples of each take a month at 1 ms per evaluation

std::uint64_t pair_key(std::int32_t image, std::int32_t text) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(image)) << 32U) |
         static_cast<std::uint32_t>(text);
}

double radical_inverse(std::uint64_t index) {
  double value = 0;
  double digit = 0.5;
  for (; index > 0; index >>= 1U, digit /= 2) value += digit * static_cast<double>(index & 1U);
  return value;
}

std::vector<std::int64_t> nested_timesteps(const SamplingOptions& options, std::int64_t train_timesteps) {
  const double shift =
      uniform_draw(static_cast<std::uint64_t>(options.seed), stream_of("diffusion-score/timesteps"), 0);
  std::vector<std::int64_t> timesteps;
  for (std::int64_t k = 0; k < options.samples; ++k) {
    const double shifted = radical_inverse(static_cast<std::uint64_t>(k)) + shift;
    const double u = options.t_min + (options.t_max - options.t_min) * (shifted - std::floor(shifted));
    const std::int64_t timestep = static_cast<std::int64_t>(u * static_cast<double>(train_timesteps));
    timesteps.push_back(std::min(timestep, train_timesteps - 1));
  }
  return timesteps;
}

// diffusion-classifier, eval_prob_adaptive.py: range(T // S // 2, T, T // S)[:S], here over part of the
// range.
std::vector<std::int64_t> even_timesteps(const SamplingOptions& options, std::int64_t train_timesteps) {
  const double scale = static_cast<double>(train_timesteps);
  const std::int64_t first = static_cast<std::int64_t>(options.t_min * scale);
  const std::int64_t count = static_cast<std::int64_t>(options.t_max * scale) - first;
  if (options.samples > count) {
    throw usage_error("samples: got {}, but the grid even has only {} timesteps in its range",
                      options.samples, count);
  }
  const std::int64_t step = count / options.samples;
  std::vector<std::int64_t> timesteps;
  for (std::int64_t k = 0; k < options.samples; ++k) timesteps.push_back(first + step / 2 + k * step);
  return timesteps;
}

// diffusion-itm, pipeline_stable_diffusion_img2img.py: range(10, 990, int(1000 / S)).
std::vector<std::int64_t> diffusion_itm_timesteps(const SamplingOptions& options,
                                                  std::int64_t train_timesteps) {
  if (train_timesteps != 1000) {
    throw usage_error("grid: diffusion-itm is made for 1000 timesteps, this teacher has {}", train_timesteps);
  }
  std::vector<std::int64_t> timesteps;
  for (std::int64_t t = 10; t < 990; t += 1000 / options.samples) timesteps.push_back(t);
  return timesteps;
}

std::vector<double> weights_of(const std::string& weight, std::span<const SamplePoint> points) {
  std::vector<double> weights;
  if (const std::optional<std::string> file = learned_weights_file(weight)) {
    const TimestepWeights learned = read_timestep_weights(*file);
    for (const SamplePoint& point : points) {
      if (point.timestep < 0 || point.timestep >= learned.train_timesteps) {
        throw input_error("{}: is for {} timesteps, but a sample of this run is at timestep {}", *file,
                          learned.train_timesteps, point.timestep);
      }
      weights.push_back(learned.at(point.timestep));
    }
  } else {
    for (const SamplePoint& point : points) {
      weights.push_back(weight == "snr" ? point.alpha_cumprod / (1 - point.alpha_cumprod) : 1.0);
      if (!std::isfinite(weights.back())) {
        throw input_error(
            "weight: snr is infinite at timestep {}, whose alpha_cumprod is {}; use another weight",
            point.timestep, point.alpha_cumprod);
      }
    }
  }
  return weights;
}

}  // namespace

std::vector<std::int64_t> sample_timesteps(const SamplingOptions& options, std::int64_t train_timesteps) {
  switch (options.grid) {
    case TimestepGrid::kEven:
      return even_timesteps(options, train_timesteps);
    case TimestepGrid::kDiffusionItm:
      return diffusion_itm_timesteps(options, train_timesteps);
    case TimestepGrid::kNested:
      break;
  }
  return nested_timesteps(options, train_timesteps);
}

void ErrorTable::add(const SampleErrorRow& row) {
  Errors& errors = errors_[pair_key(row.image, row.text)];
  if (static_cast<std::size_t>(row.sample) != errors.l2.size()) {
    throw input_error("scores.sqlite: image {}, text {}: sample {} follows {} samples; the store is damaged",
                      row.image, row.text, row.sample, errors.l2.size());
  }
  errors.l2.push_back(row.error);
  errors.l1.push_back(row.error_l1);
}

const ErrorTable::Errors& ErrorTable::of(std::int32_t image, std::int32_t text) const {
  const auto found = errors_.find(pair_key(image, text));
  if (found == errors_.end()) {
    throw input_error("scores.sqlite: image {}, text {} has no sample yet; run again with --resume", image,
                      text);
  }
  return found->second;
}

std::int64_t ErrorTable::count(std::int32_t image, std::int32_t text) const {
  const auto found = errors_.find(pair_key(image, text));
  return found == errors_.end() ? 0 : static_cast<std::int64_t>(found->second.l2.size());
}

ErrorTable error_table(std::span<const SampleErrorRow> rows) {
  ErrorTable errors;
  for (const SampleErrorRow& row : rows) errors.add(row);
  return errors;
}

Estimator::Estimator(const EstimatorOptions& options, std::span<const SamplePoint> points)
    : options_(options),
      points_(points.begin(), points.end()),
      weights_(weights_of(options.weight, points)) {}

double Estimator::measure(const ErrorTable::Errors& errors, std::size_t sample) const {
  // The velocity's error is the noise's error divided by sqrt(abar), element by element.
  const double abar = options_.error == ErrorTarget::kV ? points_[sample].alpha_cumprod : 1.0;
  switch (options_.norm) {
    case ErrorNorm::kL1:
      return errors.l1[sample] / std::sqrt(abar);
    case ErrorNorm::kL2Unsquared:
      return std::sqrt(errors.l2[sample] / abar);
    case ErrorNorm::kL2:
      break;
  }
  return errors.l2[sample] / abar;
}

std::vector<double> Estimator::terms(const ErrorTable& errors, const TextTable& texts, std::int32_t image,
                                     std::int32_t caption, std::int64_t samples) const {
  const std::vector<std::int32_t>& rows = texts.of_caption[static_cast<std::size_t>(caption)];
  std::vector<double> terms(static_cast<std::size_t>(samples), 0.0);
  const auto add = [&](std::int32_t text, double factor) {
    const ErrorTable::Errors& own = errors.of(image, text);
    if (own.l2.size() < terms.size()) {
      throw input_error(
          "scores.sqlite: image {}, text {} has {} samples, expected {}; run again with --resume", image,
          text, own.l2.size(), samples);
    }
    for (std::size_t k = 0; k < terms.size(); ++k) terms[k] += factor * weights_[k] * measure(own, k);
  };
  for (const std::int32_t text : rows) add(text, 1.0 / static_cast<double>(rows.size()));
  if (options_.subtract_unconditional) add(texts.unconditional, -1.0);
  return terms;
}

double Estimator::mean(std::span<const double> terms) const {
  double sum = 0;
  double weight = 0;
  for (std::size_t k = 0; k < terms.size(); ++k) {
    sum += terms[k];
    weight += weights_[k];
  }
  return sum / weight;
}

std::uint64_t ScoredPair::key() const {
  return pair_key(image, text);
}

std::vector<ScoredPair> caption_pairs(const CaseTable& table, const TextTable& texts) {
  std::vector<ScoredPair> pairs;
  std::unordered_set<std::uint64_t> seen;
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    for (const std::int32_t image : table.cases[index].images) {
      for (std::int64_t column = 0; column < table.caption_count(index); ++column) {
        const std::size_t caption = static_cast<std::size_t>(table.caption_at(index, column));
        for (const std::int32_t text : texts.of_caption[caption]) {
          if (seen.insert(pair_key(image, text)).second) pairs.push_back({.image = image, .text = text});
        }
      }
      if (static_cast<std::int64_t>(pairs.size()) > kMaxPairs) {
        throw usage_error("the cases need more than {} (image, text) pairs; use fewer with --limit",
                          kMaxPairs);
      }
    }
  }
  return pairs;
}

std::vector<ScoredPair> unconditional_pairs(const TextTable& texts,
                                            std::span<const ScoredPair> caption_pairs) {
  std::unordered_set<std::int32_t> images_done;
  for (const ScoredPair& pair : caption_pairs) {
    if (pair.text == texts.unconditional) images_done.insert(pair.image);
  }
  std::vector<ScoredPair> pairs;
  for (const ScoredPair& pair : caption_pairs) {
    if (!images_done.insert(pair.image).second) continue;
    pairs.push_back({.image = pair.image, .text = texts.unconditional});
  }
  return pairs;
}

void check_finite(const CaseScores& scores, const CaseTable& table) {
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    const std::vector<std::int32_t>& images = table.cases[index].images;
    for (std::size_t row = 0; row < images.size(); ++row) {
      const std::span<const double> values = scores.row(index, static_cast<std::int64_t>(row));
      for (std::size_t column = 0; column < values.size(); ++column) {
        if (std::isfinite(values[column])) continue;
        const std::int32_t caption = table.caption_at(index, static_cast<std::int64_t>(column));
        throw input_error(
            "the score of image '{}' with caption '{}' is not finite: its stored errors, or the timesteps' "
            "weights, are too large",
            table.images[static_cast<std::size_t>(images[row])].id,
            table.captions[static_cast<std::size_t>(caption)].id);
      }
    }
  }
}

CaseScores score_cases(const CaseTable& table, const TextTable& texts, const Estimator& estimator,
                       const ErrorTable& errors, std::int64_t samples) {
  CaseScores scores(table);
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    const std::vector<std::int32_t>& images = table.cases[index].images;
    for (std::size_t row = 0; row < images.size(); ++row) {
      const std::span<double> values = scores.row(index, static_cast<std::int64_t>(row));
      for (std::size_t column = 0; column < values.size(); ++column) {
        const std::int32_t caption = table.caption_at(index, static_cast<std::int64_t>(column));
        values[column] = -estimator.mean(estimator.terms(errors, texts, images[row], caption, samples));
      }
    }
  }
  return scores;
}

}  // namespace sdsclip
