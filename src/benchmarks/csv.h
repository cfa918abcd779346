#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sdsclip {

struct CsvRow {
  std::int64_t line = 0;  ///< of its first field, from 1
  std::vector<std::string> fields;
};

/// The rows of a comma-separated file, header included, blank lines left out: fields may be in double quotes,
/// with commas, line breaks and doubled quotes inside (RFC 4180). Throws `Error(kInput)` naming file and line
/// where a quote is left open or stands in the middle of a field, or a field is not UTF-8.
std::vector<CsvRow> read_csv(const std::filesystem::path& path);

}  // namespace sdsclip
