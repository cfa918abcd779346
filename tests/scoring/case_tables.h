#pragma once

#include <string>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"

namespace sdsclip::testing {

inline BenchmarkImage image_named(const std::string& id) {
  return {.id = id, .file = id, .crop = std::nullopt, .range = {}, .raw = std::nullopt};
}

/// `count` cases in Winoground's form, 2 images and 2 captions each, nothing shared.
inline CaseTable swap_table(int count) {
  CaseTable table;
  for (std::int32_t i = 0; i < count; ++i) {
    for (const char* half : {"a", "b"}) {
      table.images.push_back(image_named("images/" + std::to_string(i) + half + ".png"));
      table.captions.push_back(
          {.id = "caption " + std::to_string(i) + half, .texts = {"caption " + std::to_string(i) + half}});
    }
    table.cases.push_back({.id = "case " + std::to_string(i),
                           .images = {2 * i, 2 * i + 1},
                           .captions = {2 * i, 2 * i + 1},
                           .positives = {},
                           .tags = {}});
  }
  return table;
}

}  // namespace sdsclip::testing
