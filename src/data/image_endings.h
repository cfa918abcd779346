#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace sdsclip {

/// Whether files with this ending (lower case, no dot) are images of training samples.
inline bool is_image_ending(std::string_view ending) {
  constexpr std::array<std::string_view, 8> kEndings = {"jpg", "jpeg", "png",  "webp",
                                                        "bmp", "tif",  "tiff", "ppm"};
  return std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
}

}  // namespace sdsclip
