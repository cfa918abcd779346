#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sdsclip {

struct TextLine {
  std::int64_t number = 0;  ///< from 1, as editors count
  std::string text;         ///< without line break, not empty
};

/// The lines of a text file that are not blank. Throws `Error(kInput)` naming file and line where it is
/// missing or not UTF-8.
std::vector<TextLine> read_text_lines(const std::filesystem::path& path);

bool is_utf8(const std::string& text);

/// `text` as a whole number of at least 0, the whole of it. Throws `Error(kInput)` with `where` in front.
std::int32_t parse_count(const std::string& text, const std::string& where);

}  // namespace sdsclip
