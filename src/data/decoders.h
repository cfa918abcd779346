#pragma once

#include <string>
#include <string_view>

#include "sdsclip/base/error.h"
#include "sdsclip/data/image.h"

namespace sdsclip {

/// All give what `decode_image` promises, of bytes that start as that format does.
Image decode_jpeg(std::string_view bytes, const std::string& name);
Image decode_png(std::string_view bytes, const std::string& name);
Image decode_webp(std::string_view bytes, const std::string& name);

/// Throws `Error(kInput)` unless 1 <= width * height <= Pillow's limit, so that a few bytes cannot ask for
/// gigabytes.
void check_image_size(std::uint64_t width, std::uint64_t height, const std::string& name);

/// "cat.jpg: damaged or cut short: premature end of JPEG file; fetch it again or remove it"
Error damaged_image(const std::string& name, std::string_view reason);

}  // namespace sdsclip
