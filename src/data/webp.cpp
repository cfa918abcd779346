#include <webp/decode.h>

#include "decoders.h"

namespace sdsclip {

Image decode_webp(std::string_view bytes, const std::string& name) {
  const std::uint8_t* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data, bytes.size(), &features) != VP8_STATUS_OK) {
    throw damaged_image(name, "its WebP header cannot be read");
  }
  if (features.has_animation != 0) {
    throw input_error("{}: got an animated WebP, expected a still image; save one frame of it", name);
  }
  check_image_size(static_cast<std::uint64_t>(features.width), static_cast<std::uint64_t>(features.height),
                   name);

  Image image{features.width, features.height, {}};
  const std::size_t row_bytes = static_cast<std::size_t>(image.width) * 3;
  image.pixels.resize(row_bytes * static_cast<std::size_t>(image.height));
  if (WebPDecodeRGBInto(data, bytes.size(), image.pixels.data(), image.pixels.size(),
                        static_cast<int>(row_bytes)) == nullptr) {
    throw damaged_image(name, "its WebP data end early or make no sense");
  }
  return image;
}

}  // namespace sdsclip
