#include "sdsclip/scoring/timestep_weights.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "estimator.h"
#include "score_schema.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/options.h"
#include "sdsclip/benchmarks/text_table.h"

namespace sdsclip {
namespace {

constexpr double kLeastWeight = 1e-3;  // for a mean of 1: every prefix of the samples must have some weight

using Features = std::vector<double>;  // one per bin

// The right columns of an image's row are the case's positives, or the caption at the image's own position.
bool is_right(const Case& question, std::size_t row, std::int64_t column, std::int32_t caption) {
  if (question.positives.empty()) return static_cast<std::int64_t>(row) == column;
  return std::find(question.positives.begin(), question.positives.end(), caption) != question.positives.end();
}

std::size_t bin_of(std::int64_t timestep, std::int64_t train_timesteps, std::int64_t bins) {
  return static_cast<std::size_t>(std::min(timestep * bins / train_timesteps, bins - 1));
}

// Mean of `terms` in each bin of timesteps, 0 where a bin has no sample.
Features binned(std::span<const double> terms, std::span<const SamplePoint> points,
                std::int64_t train_timesteps, std::int64_t bins) {
  Features sums(static_cast<std::size_t>(bins), 0.0);
  Features counts(sums.size(), 0.0);
  for (std::size_t k = 0; k < terms.size(); ++k) {
    const std::size_t bin = bin_of(points[k].timestep, train_timesteps, bins);
    sums[bin] += terms[k];
    ++counts[bin];
  }
  for (std::size_t bin = 0; bin < sums.size(); ++bin) sums[bin] /= std::max(counts[bin], 1.0);
  return sums;
}

// Adds e(wrong) - e(right) per bin, for every wrong caption against every right one of an image.
void append_examples(const StoredRun& run, std::int64_t train_timesteps, std::int64_t bins,
                     std::vector<Features>& examples) {
  const CaseTable& table = *run.table;
  const TextTable texts = unique_texts(table);
  const ErrorTable errors = error_table(run.store->read_errors());
  const Estimator estimator({}, run.store->read_sample_points());
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    const Case& question = table.cases[index];
    for (std::size_t row = 0; row < question.images.size(); ++row) {
      std::vector<Features> right;
      std::vector<Features> wrong;
      for (std::int64_t column = 0; column < table.caption_count(index); ++column) {
        const std::int32_t caption = table.caption_at(index, column);
        std::int64_t samples = static_cast<std::int64_t>(estimator.points().size());
        for (const std::int32_t text : texts.of_caption[static_cast<std::size_t>(caption)]) {
          samples = std::min(samples, errors.count(question.images[row], text));
        }
        const std::vector<double> terms =
            estimator.terms(errors, texts, question.images[row], caption, samples);
        std::vector<Features>& side = is_right(question, row, column, caption) ? right : wrong;
        side.push_back(binned(terms, estimator.points(), train_timesteps, bins));
      }
      for (const Features& good : right) {
        for (const Features& bad : wrong) {
          Features& example = examples.emplace_back(bad);
          for (std::size_t bin = 0; bin < example.size(); ++bin) example[bin] -= good[bin];
        }
      }
    }
  }
}

// Divides the features by their common root mean square, so that `ridge` means the same for every latent.
void scale_to_unit(std::vector<Features>& examples) {
  double squares = 0;
  for (const Features& example : examples) {
    squares += std::inner_product(example.begin(), example.end(), example.begin(), 0.0);
  }
  const double scale = std::sqrt(squares / static_cast<double>(examples.size() * examples.front().size()));
  if (scale == 0) return;
  for (Features& example : examples) {
    for (double& value : example) value /= scale;
  }
}

Features gradient(const std::vector<Features>& examples, const Features& weights, double ridge) {
  Features sum(weights.size(), 0.0);
  for (const Features& x : examples) {
    const double margin = std::inner_product(x.begin(), x.end(), weights.begin(), 0.0);
    const double slope = -1.0 / (1.0 + std::exp(margin));  // derivative of log(1 + exp(-margin))
    for (std::size_t bin = 0; bin < sum.size(); ++bin) sum[bin] += slope * x[bin];
  }
  const double mean =
      std::accumulate(weights.begin(), weights.end(), 0.0) / static_cast<double>(weights.size());
  for (std::size_t bin = 0; bin < sum.size(); ++bin) {
    sum[bin] = sum[bin] / static_cast<double>(examples.size()) + 2 * ridge * (weights[bin] - mean);
  }
  return sum;
}

void normalise(Features& weights) {
  const auto set_mean_to_one = [&weights] {
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (double& weight : weights) weight *= static_cast<double>(weights.size()) / sum;
  };
  set_mean_to_one();
  for (double& weight : weights) weight = std::max(weight, kLeastWeight);
  set_mean_to_one();
}

}  // namespace

void visit_options(OptionVisitor& visitor, TimestepWeights& weights) {
  visitor.option("train_timesteps", weights.train_timesteps,
                 "Timesteps of the teacher that the weights were learned with.");
  visitor.option("weights", weights.weights, "One weight per bin of equal width.");
}

double TimestepWeights::at(std::int64_t timestep) const {
  return weights[bin_of(timestep, train_timesteps, static_cast<std::int64_t>(weights.size()))];
}

TimestepWeights read_timestep_weights(const std::filesystem::path& path) {
  TimestepWeights weights;
  bind_options(parse_json(read_file(path), path.string()), weights, DocumentRole::kInput);
  if (weights.train_timesteps < 1 || weights.train_timesteps > kMostTrainTimesteps) {
    throw input_error("{}: train_timesteps: got {}, expected 1 to {}", path.string(), weights.train_timesteps,
                      kMostTrainTimesteps);
  }
  if (weights.weights.empty()) throw input_error("{}: weights: expected at least one", path.string());
  if (static_cast<std::int64_t>(weights.weights.size()) > weights.train_timesteps) {
    throw input_error("{}: weights: got {}, expected at most one per timestep ({})", path.string(),
                      weights.weights.size(), weights.train_timesteps);
  }
  for (const double weight : weights.weights) {
    if (!std::isfinite(weight) || weight <= 0) {
      throw input_error("{}: weights: got {}, expected finite numbers above 0", path.string(), weight);
    }
  }
  return weights;
}

void write_timestep_weights(const std::filesystem::path& path, const TimestepWeights& weights) {
  nlohmann::ordered_json json;
  json["train_timesteps"] = weights.train_timesteps;
  json["weights"] = weights.weights;
  write_file_atomically(path, json.dump(2) + "\n");
}

std::int64_t train_timesteps_of(const ScoreStore& store) {
  return store.choice(kTrainTimestepsChoice).value_or(WeightFitOptions().train_timesteps);
}

TimestepWeights fit_timestep_weights(std::span<const StoredRun> runs, const WeightFitOptions& options) {
  if (options.bins < 1 || options.bins > options.train_timesteps) {
    throw usage_error("bins: got {}, expected 1 to {}, the teacher's timesteps", options.bins,
                      options.train_timesteps);
  }
  std::vector<Features> examples;
  for (const StoredRun& run : runs) append_examples(run, options.train_timesteps, options.bins, examples);
  if (examples.empty()) {
    throw input_error(
        "no case of the runs has both a right and a wrong caption, from which weights are learned");
  }
  scale_to_unit(examples);
  // The loss is convex, and its second derivatives are at most a quarter of the mean of |x|^2, which is the
  // number of bins after scaling. Gradient descent therefore converges with this step.
  const double step = 1.0 / (0.25 * static_cast<double>(options.bins) + 2 * options.ridge);
  Features weights(static_cast<std::size_t>(options.bins), 1.0);
  for (std::int64_t i = 0; i < options.steps; ++i) {
    const Features slope = gradient(examples, weights, options.ridge);
    for (std::size_t bin = 0; bin < weights.size(); ++bin) {
      weights[bin] = std::max(0.0, weights[bin] - step * slope[bin]);
    }
  }
  normalise(weights);
  return {.train_timesteps = options.train_timesteps, .weights = std::move(weights)};
}

}  // namespace sdsclip
