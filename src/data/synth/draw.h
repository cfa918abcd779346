#pragma once

#include <cstdint>
#include <vector>

#include "scene.h"

namespace sdsclip::synth {

/// The scene as an 8-bit RGB image of kImageSize x kImageSize, rows of interleaved pixels. 4 x 4 sub-samples
/// per pixel smooth the edges; every pixel has a faint grain.
std::vector<std::uint8_t> draw(const Scene& scene);

/// The smallest box of whole pixels around both objects, with a margin of two pixels, inside the image:
/// {left, top, width, height}.
std::array<int, 4> bounding_box(const Scene& scene);

}  // namespace sdsclip::synth
