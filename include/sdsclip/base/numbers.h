#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sdsclip {

/// The whole text as a decimal integer, with an optional sign. Returns nothing for other texts and for
/// integers of more than 64 bits.
std::optional<std::int64_t> to_integer(std::string_view text);

/// The whole text as a number, with an optional sign. Returns nothing for other texts, and for infinities,
/// NaN and values outside double's range (1e999, 1e-999), which no option needs.
std::optional<double> to_number(std::string_view text);

}  // namespace sdsclip
