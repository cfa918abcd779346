#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sdsclip/benchmarks/benchmark.h"

namespace sdsclip {

/// The texts of a table's captions, each once, in order of appearance.
struct TextTable {
  std::vector<std::string> texts;                     ///< the captions' texts, and the empty text
  std::vector<std::vector<std::int32_t>> of_caption;  ///< rows of `texts` for each caption of the table
  std::int32_t unconditional = 0;  ///< row of the empty text, which is last if no caption has it
  std::int32_t caption_texts = 0;  ///< number of texts of captions; they come first
};
TextTable unique_texts(const CaseTable& table);

}  // namespace sdsclip
