#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>

#include "decoders.h"

namespace sdsclip {
namespace {

struct DeleteAnimation {
  void operator()(WebPAnimDecoder* decoder) const { WebPAnimDecoderDelete(decoder); }
};

Error spoilt(const std::string& name) {
  return damaged_image(name, "its WebP data are truncated or malformed");
}

/// The first frame on its canvas in RGBA, as Pillow opens an animation; nothing if it cannot be read.
std::vector<std::uint8_t> first_frame(std::string_view bytes, int width, int height) {
  const WebPData data{reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
  WebPAnimDecoderOptions options;
  WebPAnimDecoderOptionsInit(&options);
  const std::unique_ptr<WebPAnimDecoder, DeleteAnimation> decoder(WebPAnimDecoderNew(&data, &options));
  std::uint8_t* pixels = nullptr;
  int timestamp = 0;
  if (decoder == nullptr || WebPAnimDecoderGetNext(decoder.get(), &pixels, &timestamp) == 0) return {};
  return {pixels, pixels + static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 4};
}

}  // namespace

StoredImage decode_webp(std::string_view bytes, const std::string& name, bool keep_alpha) {
  const std::uint8_t* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data, bytes.size(), &features) != VP8_STATUS_OK) {
    throw damaged_image(name, "its WebP header cannot be read");
  }
  const int width = features.width;
  const int height = features.height;
  check_image_size(static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(height), name);
  // libwebp 1.2.4 crashes if it has no memory for the tables of a lossless image, so check first.
  require_memory(width, height);
  const bool has_alpha = features.has_alpha != 0;
  std::vector<std::uint8_t> pixels;
  if (features.has_animation != 0) {
    pixels = first_frame(bytes, width, height);
    if (pixels.empty()) {
      require_memory(width, height);
      pixels = first_frame(bytes, width, height);
    }
    if (pixels.empty()) throw spoilt(name);
    StoredImage image = split_channels(PixelMode::kRgba, width, height, pixels);
    if (!has_alpha || !keep_alpha) image = {PixelMode::kRgb, std::move(image.colour), {}};
    return image;
  }
  const bool rgba = has_alpha && keep_alpha;
  const std::size_t row_bytes = static_cast<std::size_t>(width) * (rgba ? 4 : 3);
  pixels.resize(row_bytes * static_cast<std::size_t>(height));
  const auto decode = [&] {
    WebPDecoderConfig fresh;
    if (WebPInitDecoderConfig(&fresh) == 0) return false;
    fresh.output.colorspace = rgba ? MODE_RGBA : MODE_RGB;
    fresh.output.is_external_memory = 1;
    fresh.output.u.RGBA = {pixels.data(), static_cast<int>(row_bytes), pixels.size()};
    return WebPDecode(data, bytes.size(), &fresh) == VP8_STATUS_OK;
  };
  if (!decode()) {
    require_memory(width, height);
    if (!decode()) throw spoilt(name);
  }
  if (rgba) return split_channels(PixelMode::kRgba, width, height, pixels);
  return {PixelMode::kRgb, {width, height, std::move(pixels)}, {}};
}

}  // namespace sdsclip
