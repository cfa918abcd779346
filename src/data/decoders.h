#pragma once

#include <string>
#include <string_view>

#include "sdsclip/base/error.h"
#include "sdsclip/data/image.h"

namespace sdsclip {

/// All give what `decode_stored_image` promises, of bytes that start as that format does. Without
/// `keep_alpha` alpha is dropped at once.
StoredImage decode_jpeg(std::string_view bytes, const std::string& name);
StoredImage decode_png(std::string_view bytes, const std::string& name, bool keep_alpha);
StoredImage decode_webp(std::string_view bytes, const std::string& name, bool keep_alpha);
/// BMP, TIFF and PPM, of the variants whose pixels OpenCV reads as Pillow does; the others are refused by
/// name.
StoredImage decode_bmp(std::string_view bytes, const std::string& name);
StoredImage decode_tiff(std::string_view bytes, const std::string& name);
StoredImage decode_ppm(std::string_view bytes, const std::string& name);

/// Interleaved RGBA as colour and alpha.
StoredImage split_alpha(int width, int height, const std::vector<std::uint8_t>& rgba);

/// Throws `Error(kInput)` unless 1 <= width * height <= Pillow's limit, so that a few bytes cannot ask for
/// gigabytes.
void check_image_size(std::uint64_t width, std::uint64_t height, const std::string& name);

/// Throws `std::bad_alloc` where memory is short for an image of this size. For libraries that do not say
/// whether it was memory that failed them; try again after it.
void require_memory(int width, int height);

/// "cat.jpg: damaged or cut short: premature end of JPEG file; fetch it again or remove it"
Error damaged_image(const std::string& name, std::string_view reason);

}  // namespace sdsclip
