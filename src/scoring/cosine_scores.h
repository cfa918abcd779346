#pragma once

#include <c10/core/Device.h>

#include <cstddef>
#include <span>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"
#include "sdsclip/benchmarks/text_table.h"
#include "sdsclip/scoring/score_store.h"

// Computes scores from embeddings.
namespace sdsclip {

/// Unit-norm embeddings, row by row.
struct Embeddings {
  std::size_t dim = 0;
  std::vector<float> values;

  [[nodiscard]] std::span<float> row(std::size_t index) { return {values.data() + index * dim, dim}; }
  [[nodiscard]] std::span<const float> row(std::size_t index) const {
    return {values.data() + index * dim, dim};
  }
};

/// Scales a row to unit norm. Returns false for a row of zeros, which has no direction and stays zero.
bool scale_to_unit_norm(std::span<float> row);

/// CLIP_benchmark's class embedding: the mean of the texts' unit-norm embeddings, scaled to unit norm again.
Embeddings average_texts(const Embeddings& of_text, const TextTable& texts);

/// The cosine of each image with each caption that a case needs. Equal embeddings give exactly equal scores.
/// Cases that need every caption of the table are a matrix product in double on the device, which differs from
/// the exact cosine by less than 1e-14.
CaseScores cosine_scores(const CaseTable& table, const Embeddings& images, const Embeddings& captions,
                         c10::Device device);

}  // namespace sdsclip
