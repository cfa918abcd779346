#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sdsclip/base/filesystem.h"

namespace sdsclip {

struct TextLine {
  std::int64_t number = 0;  ///< counted from 1
  std::string text;         ///< without line break and surrounding white space; may be empty
};

/// Reads every line of a text file, also blank ones, because a line's position is a class's label. Follows
/// CLIP_benchmark: Python's `[line.strip() for line in text.splitlines()]`, without a byte order mark. Throws
/// `Error(kInput)` that names file and line if the file is missing or not UTF-8.
std::vector<TextLine> read_text_lines(const fs::path& path);

/// Throws `Error(kInput)` that says how to prepare the benchmark's data where a file of it is not there.
void require_data_file(const fs::path& path, std::string_view benchmark);

/// Reads the whole of `text` as a number of 0 or more. Throws `Error(kInput)` that starts with `where`.
std::int32_t parse_count(const std::string& text, const std::string& where);

}  // namespace sdsclip
