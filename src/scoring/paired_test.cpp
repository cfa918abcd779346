#include "paired_test.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

namespace sdsclip {

double student_t_within(double t, std::int64_t degrees) {
  const double angle = std::atan(std::abs(t) / std::sqrt(static_cast<double>(degrees)));
  const double cosine = std::cos(angle);
  const bool is_odd = degrees % 2 == 1;
  double sum = 0;
  double term = is_odd ? cosine : 1.0;
  for (std::int64_t i = is_odd ? 3 : 2; i <= degrees; i += 2) {
    sum += term;
    term *= cosine * cosine * static_cast<double>(i - 1) / static_cast<double>(i);
  }
  const double within = std::sin(angle) * sum;
  return is_odd ? 2 / std::numbers::pi * (angle + within) : within;
}

double paired_certainty(std::span<const double> differences, std::span<const SamplePoint> points) {
  const std::size_t count = differences.size();
  if (std::all_of(differences.begin(), differences.end(), [](double d) { return d == 0; })) return 1;
  if (count < 2) return 0;
  std::vector<std::size_t> along(count);
  std::iota(along.begin(), along.end(), std::size_t{0});
  std::stable_sort(along.begin(), along.end(), [&points](std::size_t a, std::size_t b) {
    return points[a].timestep < points[b].timestep;
  });
  double squares = 0;
  for (std::size_t i = 0; i + 1 < count; ++i) {
    const double step = differences[along[i + 1]] - differences[along[i]];
    squares += step * step;
  }
  const double n = static_cast<double>(count);
  const double variance = squares / (2 * (n - 1));
  const double mean = std::accumulate(differences.begin(), differences.end(), 0.0) / n;
  if (variance == 0) return 1;
  return student_t_within(mean / std::sqrt(variance / n), static_cast<std::int64_t>(count) - 1);
}

}  // namespace sdsclip
