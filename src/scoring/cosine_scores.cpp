#include "cosine_scores.h"

#include <ATen/Parallel.h>

#include <array>
#include <cmath>

namespace sdsclip {
namespace {

/// In double and in a fixed order, so that equal embeddings give exactly equal scores.
double dot(std::span<const float> a, std::span<const float> b) {
  constexpr std::size_t kLanes = 8;
  std::array<double, kLanes> sums{};
  std::size_t i = 0;
  for (; i + kLanes <= a.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += static_cast<double>(a[i + lane]) * static_cast<double>(b[i + lane]);
    }
  }
  for (; i < a.size(); ++i) sums[i % kLanes] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace

bool scale_to_unit_norm(std::span<float> row) {
  double squares = 0;
  for (const float value : row) squares += static_cast<double>(value) * static_cast<double>(value);
  const double norm = std::sqrt(squares);
  if (norm == 0) return false;
  for (float& value : row) value = static_cast<float>(static_cast<double>(value) / norm);
  return true;
}

Embeddings average_texts(const Embeddings& of_text, const TextTable& texts) {
  Embeddings captions{.dim = of_text.dim, .values = {}};
  captions.values.resize(texts.of_caption.size() * of_text.dim);
  for (std::size_t caption = 0; caption < texts.of_caption.size(); ++caption) {
    const std::vector<std::int32_t>& rows = texts.of_caption[caption];
    const std::span<float> mean = captions.row(caption);
    for (const std::int32_t row : rows) {
      const std::span<const float> own = of_text.row(static_cast<std::size_t>(row));
      for (std::size_t i = 0; i < own.size(); ++i) mean[i] += own[i] / static_cast<float>(rows.size());
    }
    if (rows.size() > 1) scale_to_unit_norm(mean);
  }
  return captions;
}

CaseScores cosine_scores(const CaseTable& table, const Embeddings& images, const Embeddings& captions) {
  CaseScores scores(table);
  const std::int64_t count = static_cast<std::int64_t>(table.cases.size());
  at::parallel_for(0, count, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::size_t index = static_cast<std::size_t>(begin); index < static_cast<std::size_t>(end);
         ++index) {
      const std::vector<std::int32_t>& rows = table.cases[index].images;
      for (std::size_t row = 0; row < rows.size(); ++row) {
        const std::span<const float> image = images.row(static_cast<std::size_t>(rows[row]));
        const std::span<double> values = scores.row(index, static_cast<std::int64_t>(row));
        for (std::size_t column = 0; column < values.size(); ++column) {
          const std::int32_t caption = table.caption_at(index, static_cast<std::int64_t>(column));
          values[column] = dot(image, captions.row(static_cast<std::size_t>(caption)));
        }
      }
    }
  });
  return scores;
}

}  // namespace sdsclip
