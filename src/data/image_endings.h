#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace sdsclip {

/// ASCII letters alone, as file name endings need it.
inline std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lower;
}

/// Whether a file with this ending, in lower case and without its dot, is an image of a training sample.
inline bool is_image_ending(std::string_view ending) {
  constexpr std::array<std::string_view, 8> kEndings = {"jpg", "jpeg", "png",  "webp",
                                                        "bmp", "tif",  "tiff", "ppm"};
  return std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
}

}  // namespace sdsclip
