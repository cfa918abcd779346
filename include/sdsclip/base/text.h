#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sdsclip {

/// The candidate with the least edit distance to `word`, or an empty text where none is close enough to be a
/// likely slip of the keyboard (more than a third of its letters differ, and more than two).
std::string nearest(std::string_view word, std::span<const std::string> candidates);

/// "; did you mean 'x'?" where `nearest` finds something, else empty: the end of an error about an unknown
/// name.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

/// The pieces between the separators; one piece where there is none.
std::vector<std::string> split(std::string_view text, char separator);

/// "a, b, c"
std::string join(std::span<const std::string> pieces, std::string_view separator);

/// Text from outside as a terminal may show it: letters of every script stay, while control characters, marks
/// that turn the direction of writing around them, and bytes that are not UTF-8 become `\x1b`, `\u202e`.
std::string terminal_text(std::string_view text);

/// The text with its middle left out where it has more than `most_bytes`: its beginning and end say what it
/// is about.
std::string shortened(std::string_view text, std::size_t most_bytes);

}  // namespace sdsclip
