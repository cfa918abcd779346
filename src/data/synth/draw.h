#pragma once

#include <cstdint>
#include <vector>

#include "scene.h"

namespace sdsclip::synth {

/// The scene as an 8-bit RGB image of kImageSize x kImageSize, rows of interleaved pixels. Edges are smoothed
/// by 4 x 4 sub-samples a pixel; every pixel carries a faint grain.
std::vector<std::uint8_t> draw(const Scene& scene);

/// The smallest box of whole pixels that holds both objects, two pixels wider on each side, inside the image:
/// {left, top, width, height}.
std::array<int, 4> bounding_box(const Scene& scene);

}  // namespace sdsclip::synth
