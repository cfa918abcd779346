#pragma once

#include <string>
#include <string_view>

#include "sdsclip/base/error.h"
#include "sdsclip/data/image.h"

namespace sdsclip {

/// These decoders do what `decode_stored_image` documents for bytes that start like their format. Without
/// `keep_alpha` they drop alpha at once.
StoredImage decode_jpeg(std::string_view bytes, const std::string& name);
StoredImage decode_png(std::string_view bytes, const std::string& name, bool keep_alpha);
StoredImage decode_webp(std::string_view bytes, const std::string& name, bool keep_alpha);
/// Decodes the variants of BMP, TIFF and PPM that OpenCV reads like Pillow; refuses the others by name.
StoredImage decode_bmp(std::string_view bytes, const std::string& name);
StoredImage decode_tiff(std::string_view bytes, const std::string& name);
StoredImage decode_ppm(std::string_view bytes, const std::string& name);

/// Splits four interleaved channels, RGBA or CMYK, into the first three and the fourth.
StoredImage split_channels(PixelMode mode, int width, int height, const std::vector<std::uint8_t>& pixels);

/// Throws `Error(kInput)` unless 1 <= width * height <= Pillow's limit. A few bytes can therefore not ask for
/// gigabytes.
void check_image_size(std::uint64_t width, std::uint64_t height, const std::string& name);

/// Throws `std::bad_alloc` if memory is too small for an image of this size. Use it before a library that
/// does not report that memory ran out.
void require_memory(int width, int height);

/// The error "cat.jpg: the image is damaged or cut short: REASON; fetch it again or remove it".
Error damaged_image(const std::string& name, std::string_view reason);

}  // namespace sdsclip
