#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sdsclip {

struct TextLine {
  std::int64_t number = 0;  ///< from 1, as editors count
  std::string text;         ///< without line break and white space around it; may be empty
};

/// Every line of a text file, the blank ones too: a line's place is a class's label. As CLIP_benchmark reads
/// such files: Python's `[line.strip() for line in text.splitlines()]`; and without a byte order mark. Throws
/// `Error(kInput)` naming file and line where it is missing or not UTF-8.
std::vector<TextLine> read_text_lines(const std::filesystem::path& path);

bool is_utf8(const std::string& text);

/// ASCII letters in lower case: for the endings of file names.
std::string lower_case(std::string text);

/// `text` as a whole number of at least 0, the whole of it. Throws `Error(kInput)` with `where` in front.
std::int32_t parse_count(const std::string& text, const std::string& where);

}  // namespace sdsclip
