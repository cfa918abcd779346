#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace sdsclip {

/// Lowers ASCII letters only, which is enough for file name endings.
inline std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lower;
}

/// Whether files with this ending (lower case, no dot) are images of training samples.
inline bool is_image_ending(std::string_view ending) {
  constexpr std::array<std::string_view, 8> kEndings = {"jpg", "jpeg", "png",  "webp",
                                                        "bmp", "tif",  "tiff", "ppm"};
  return std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
}

}  // namespace sdsclip
