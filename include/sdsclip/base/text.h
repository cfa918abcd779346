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

}  // namespace sdsclip
