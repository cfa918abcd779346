#include "cosine_scores.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string_view>
#include <unordered_map>

namespace sdsclip {
namespace {

constexpr std::int64_t kBlock = 1024;  // images per matrix product

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

/// The different ones among embeddings, and which of them each embedding is.
struct Distinct {
  at::Tensor rows;  ///< f32[n, dim] on the device
  std::vector<std::int64_t> index;
};

Distinct distinct(const Embeddings& embeddings, const std::vector<std::int32_t>& chosen, c10::Device device) {
  Distinct result;
  std::unordered_map<std::string_view, std::int64_t> known;
  std::vector<float> values;
  for (const std::int32_t row : chosen) {
    const std::span<const float> own = embeddings.row(static_cast<std::size_t>(row));
    const std::string_view bytes(reinterpret_cast<const char*>(own.data()), own.size_bytes());
    const auto [place, is_new] = known.try_emplace(bytes, static_cast<std::int64_t>(known.size()));
    if (is_new) values.insert(values.end(), own.begin(), own.end());
    result.index.push_back(place->second);
  }
  const std::int64_t dim = static_cast<std::int64_t>(embeddings.dim);
  result.rows = at::tensor(values).view({-1, dim}).to(device);
  return result;
}

/// The scores of an image of a case that needs every caption.
struct WholeRow {
  std::int32_t image = 0;
  std::span<double> scores;
};

/// An element of a matrix product can depend on its place in the matrix. Equal embeddings are therefore one row
/// of it, so that their scores are one number.
void multiply(const std::vector<WholeRow>& rows, const Embeddings& images, const Embeddings& captions,
              c10::Device device) {
  if (rows.empty()) return;
  std::vector<std::int32_t> own;
  for (const WholeRow& row : rows) own.push_back(row.image);
  std::vector<std::int32_t> all(rows.front().scores.size());
  std::iota(all.begin(), all.end(), 0);
  const Distinct left = distinct(images, own, device);
  const Distinct right = distinct(captions, all, device);
  const at::Tensor right_columns = right.rows.to(at::kDouble).t();
  std::vector<std::vector<std::size_t>> rows_of(static_cast<std::size_t>(left.rows.size(0)));
  for (std::size_t i = 0; i < rows.size(); ++i) rows_of[static_cast<std::size_t>(left.index[i])].push_back(i);
  for (std::int64_t first = 0; first < left.rows.size(0); first += kBlock) {
    const std::int64_t count = std::min(kBlock, left.rows.size(0) - first);
    const at::Tensor block =
        at::matmul(left.rows.narrow(0, first, count).to(at::kDouble), right_columns).to(at::kCPU);
    for (std::int64_t i = 0; i < count; ++i) {
      const double* const products = block.const_data_ptr<double>() + i * block.size(1);
      for (const std::size_t row : rows_of[static_cast<std::size_t>(first + i)]) {
        for (std::size_t column = 0; column < all.size(); ++column) {
          rows[row].scores[column] = products[right.index[column]];
        }
      }
    }
  }
}

}  // namespace

bool scale_to_unit_norm(std::span<float> row) {
  double squares = 0;
  for (const float value : row) squares += static_cast<double>(value) * static_cast<double>(value);
  const double norm = std::sqrt(squares);
  if (norm == 0) return false;
  // A negative zero becomes a positive one, so that equal rows have equal bytes.
  for (float& value : row) value = static_cast<float>(static_cast<double>(value) / norm) + 0.0F;
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

CaseScores cosine_scores(const CaseTable& table, const Embeddings& images, const Embeddings& captions,
                         c10::Device device) {
  CaseScores scores(table);
  std::vector<WholeRow> whole;
  for (std::size_t index = 0; index < table.cases.size(); ++index) {
    const std::vector<std::int32_t>& rows = table.cases[index].images;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const std::span<double> values = scores.row(index, static_cast<std::int64_t>(row));
      if (table.cases[index].captions.empty()) {
        whole.push_back({.image = rows[row], .scores = values});
        continue;
      }
      const std::span<const float> image = images.row(static_cast<std::size_t>(rows[row]));
      for (std::size_t column = 0; column < values.size(); ++column) {
        const std::int32_t caption = table.caption_at(index, static_cast<std::int64_t>(column));
        values[column] = dot(image, captions.row(static_cast<std::size_t>(caption)));
      }
    }
  }
  multiply(whole, images, captions, device);
  return scores;
}

}  // namespace sdsclip
