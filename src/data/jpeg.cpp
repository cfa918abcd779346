#include <csetjmp>
#include <cstdio>  // before jpeglib.h, which needs FILE and size_t
#include <vector>

#include <jpeglib.h>

#include <jerror.h>

#include "decoders.h"

namespace sdsclip {
namespace {

struct JpegErrors {
  jpeg_error_mgr manager;  // first, because libjpeg hands back a pointer to it
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void fail(j_common_ptr decoder) {
  JpegErrors* errors = reinterpret_cast<JpegErrors*>(decoder->err);
  errors->manager.format_message(decoder, errors->message);
  std::longjmp(errors->jump, 1);
}

/// Warnings after which pixels are missing or wrong. The others (stray bytes between segments, odd metadata)
/// are common in the field and harmless, and Pillow says nothing of them.
bool spoils_pixels(int message_code) {
  return message_code == JWRN_JPEG_EOF || message_code == JWRN_HIT_MARKER ||
         message_code == JWRN_HUFF_BAD_CODE || message_code == JWRN_ARITH_BAD_CODE ||
         message_code == JWRN_MUST_RESYNC;
}

void on_message(j_common_ptr decoder, int level) {
  if (level < 0 && spoils_pixels(decoder->err->msg_code)) fail(decoder);
}

/// libjpeg's decoder. It reports through a long jump, so the methods that call it hold nothing with a
/// destructor; they return false where the image is damaged.
class JpegDecoder {
 public:
  JpegDecoder() {
    decoder_.err = jpeg_std_error(&errors_.manager);
    errors_.manager.error_exit = fail;
    errors_.manager.emit_message = on_message;
    jpeg_create_decompress(&decoder_);
  }
  ~JpegDecoder() { jpeg_destroy_decompress(&decoder_); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  bool read_header(std::string_view bytes) {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_mem_src(&decoder_, reinterpret_cast<const unsigned char*>(bytes.data()),
                 static_cast<unsigned long>(bytes.size()));
    jpeg_read_header(&decoder_, TRUE);
    decoder_.out_color_space = has_four_inks() ? JCS_CMYK : JCS_RGB;
    return true;
  }

  bool read_pixels(std::uint8_t* pixels) {
    constexpr JDIMENSION kRowsACall = 4;  // as many as libjpeg makes at once of a subsampled image
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_start_decompress(&decoder_);
    const std::size_t row_bytes = static_cast<std::size_t>(width()) * static_cast<std::size_t>(channels());
    while (decoder_.output_scanline < decoder_.output_height) {
      JSAMPROW rows[kRowsACall];
      for (JDIMENSION i = 0; i < kRowsACall; ++i)
        rows[i] = pixels + (decoder_.output_scanline + i) * row_bytes;
      const JDIMENSION left = decoder_.output_height - decoder_.output_scanline;
      jpeg_read_scanlines(&decoder_, rows, left < kRowsACall ? left : kRowsACall);
    }
    jpeg_finish_decompress(&decoder_);
    return true;
  }

  [[nodiscard]] int width() const { return static_cast<int>(decoder_.image_width); }
  [[nodiscard]] int height() const { return static_cast<int>(decoder_.image_height); }
  [[nodiscard]] bool has_four_inks() const { return decoder_.num_components == 4; }
  [[nodiscard]] int channels() const { return has_four_inks() ? 4 : 3; }
  [[nodiscard]] std::string_view message() const { return errors_.message; }

 private:
  jpeg_decompress_struct decoder_{};
  JpegErrors errors_{};
};

/// Pillow's conversion of CMYK (`Convert.c`, `cmyk2rgb`). JPEG stores the inks' complements (Adobe's
/// convention).
std::vector<std::uint8_t> cmyk_to_rgb(const std::vector<std::uint8_t>& stored) {
  const std::size_t count = stored.size() / 4;
  std::vector<std::uint8_t> rgb(count * 3);
  for (std::size_t i = 0; i < count; ++i) {
    const unsigned int white = stored[i * 4 + 3];  // 255 - K
    for (std::size_t channel = 0; channel < 3; ++channel) {
      const unsigned int ink = 255U - stored[i * 4 + channel];
      const unsigned int product = ink * white + 128U;
      const unsigned int covered = (product + (product >> 8)) >> 8;  // ink * white / 255, rounded
      rgb[i * 3 + channel] = static_cast<std::uint8_t>(white - covered);
    }
  }
  return rgb;
}

}  // namespace

Image decode_jpeg(std::string_view bytes, const std::string& name) {
  JpegDecoder decoder;
  if (!decoder.read_header(bytes)) throw damaged_image(name, decoder.message());
  check_image_size(static_cast<std::uint64_t>(decoder.width()), static_cast<std::uint64_t>(decoder.height()),
                   name);

  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(decoder.width()) *
                                   static_cast<std::size_t>(decoder.height()) *
                                   static_cast<std::size_t>(decoder.channels()));
  if (!decoder.read_pixels(pixels.data())) throw damaged_image(name, decoder.message());
  return {decoder.width(), decoder.height(),
          decoder.has_four_inks() ? cmyk_to_rgb(pixels) : std::move(pixels)};
}

}  // namespace sdsclip
