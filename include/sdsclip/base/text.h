#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sdsclip {

/// The candidate with the smallest edit distance to `word`. Empty if none looks like a typing error, that is,
/// if more than two letters and more than a third of them differ.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

/// The end of an error about an unknown name: "; did you mean 'x'?" if `nearest` finds a candidate, else
/// empty.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

/// The pieces between the separators; one piece if there is no separator.
std::vector<std::string> split(std::string_view text, char separator);

/// The pieces with the separator between them: "a, b, c".
std::string join(std::span<const std::string> pieces, std::string_view separator);

/// The text with its ASCII letters in lower case, as endings of file names are compared.
std::string lower_case(std::string_view text);

bool is_utf8(std::string_view text);

/// Makes text from outside safe for a terminal. Letters of every script stay; control characters, marks that
/// change the writing direction, and bytes that are not UTF-8 become `\x1b` or `\u202e`.
std::string terminal_text(std::string_view text);

/// Leaves out the middle of a text of more than `most_bytes`; the beginning and the end usually matter.
std::string shortened(std::string_view text, std::size_t most_bytes);

/// The whole text as a decimal integer, with an optional sign. Returns nothing for other texts and for
/// integers of more than 64 bits.
std::optional<std::int64_t> to_integer(std::string_view text);

/// The whole text as a number, with an optional sign. Returns nothing for other texts, and for infinities,
/// NaN and values outside double's range (1e999, 1e-999), which no option needs.
std::optional<double> to_number(std::string_view text);

}  // namespace sdsclip
