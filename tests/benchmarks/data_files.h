#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "sdsclip/benchmarks/benchmark.h"

namespace sdsclip::testing {

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

/// Loaders look for images, they do not open them.
inline void put_image(const std::filesystem::path& path) {
  write_text(path, "image");
}

/// The metric of that name, or null.
inline const MetricMarks* find_marks(const std::vector<MetricMarks>& marks, std::string_view name) {
  for (const MetricMarks& one : marks) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

/// Fills the scores of case `index`, image after image.
inline void set_scores(CaseScores& scores, std::size_t index, const std::vector<std::vector<double>>& rows) {
  for (std::size_t image = 0; image < rows.size(); ++image) {
    for (std::size_t caption = 0; caption < rows[image].size(); ++caption) {
      scores.set(index, static_cast<std::int64_t>(image), static_cast<std::int64_t>(caption),
                 rows[image][caption]);
    }
  }
}

}  // namespace sdsclip::testing
