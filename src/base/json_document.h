#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "sdsclip/base/error.h"

namespace sdsclip {

struct JsonDocument {
  nlohmann::ordered_json root;
  std::vector<std::int64_t> lines;  ///< the line of every value, in document order, if requested
};

enum class JsonLines { kDropped, kKept };

/// The only JSON reader; `base/json.h` lists what it refuses. With lines, errors begin with `NAME:LINE`.
JsonDocument parse_json_document(std::string_view text, const std::string& name, ExitCode on_error,
                                 JsonLines lines);

}  // namespace sdsclip
