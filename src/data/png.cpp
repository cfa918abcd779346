#include <png.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "decoders.h"

namespace sdsclip {
namespace {

/// libpng's decoder. It reports through a long jump, so the methods that call it hold nothing with a
/// destructor; they return false where the image is damaged.
class PngDecoder {
 public:
  explicit PngDecoder(std::string_view bytes) : unread_(bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, fail, ignore_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) throw runtime_failure("PNG decoder: out of memory");
  }
  ~PngDecoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  /// Chooses transformations that give RGB bytes, or, for 16-bit grey, the samples as they are stored.
  bool read_header() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_read_fn(png_, this, read_bytes);
    png_set_crc_action(png_, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_read_info(png_, info_);
    wide_grey_ =
        png_get_bit_depth(png_, info_) == 16 && png_get_color_type(png_, info_) == PNG_COLOR_TYPE_GRAY;
    if (wide_grey_) {
      png_set_swap(png_);  // to this machine's byte order
    } else {
      png_set_strip_16(png_);  // keeps the high byte, as Pillow does
      png_set_palette_to_rgb(png_);
      png_set_expand_gray_1_2_4_to_8(png_);
      png_set_strip_alpha(png_);
      png_set_gray_to_rgb(png_);
    }
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  /// `rows`: one pointer a row, each to `row_bytes()` bytes. Reads on to the end of the file, so that every
  /// checksum is looked at.
  bool read_pixels(png_bytepp rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

  [[nodiscard]] std::uint32_t width() const { return png_get_image_width(png_, info_); }
  [[nodiscard]] std::uint32_t height() const { return png_get_image_height(png_, info_); }
  [[nodiscard]] std::size_t row_bytes() const { return png_get_rowbytes(png_, info_); }
  [[nodiscard]] bool is_wide_grey() const { return wide_grey_; }
  [[nodiscard]] std::string_view message() const { return message_; }

 private:
  [[noreturn]] static void fail(png_structp png, png_const_charp message) {
    PngDecoder* decoder = static_cast<PngDecoder*>(png_get_error_ptr(png));
    std::strncpy(decoder->message_, message, sizeof decoder->message_ - 1);
    png_longjmp(png, 1);
  }
  static void ignore_warning(png_structp, png_const_charp) {}  // of metadata; Pillow says nothing either

  static void read_bytes(png_structp png, png_bytep target, std::size_t count) {
    PngDecoder* decoder = static_cast<PngDecoder*>(png_get_io_ptr(png));
    if (decoder->unread_.size() < count) png_error(png, "the file ends too early");
    std::memcpy(target, decoder->unread_.data(), count);
    decoder->unread_.remove_prefix(count);
  }

  std::string_view unread_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  bool wide_grey_ = false;
  char message_[128] = "";
};

/// Pillow's conversion of 16-bit grey (`Convert.c`, `I16_RGB`): values above 255 are white.
std::vector<std::uint8_t> clip_grey(const std::vector<std::uint8_t>& samples) {
  const std::size_t count = samples.size() / 2;
  std::vector<std::uint8_t> rgb(count * 3);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t value = 0;
    std::memcpy(&value, samples.data() + i * 2, 2);
    std::memset(rgb.data() + i * 3, std::min<int>(value, 255), 3);
  }
  return rgb;
}

}  // namespace

Image decode_png(std::string_view bytes, const std::string& name) {
  PngDecoder decoder(bytes);
  if (!decoder.read_header()) throw damaged_image(name, decoder.message());
  check_image_size(decoder.width(), decoder.height(), name);

  std::vector<std::uint8_t> pixels(decoder.row_bytes() * decoder.height());
  std::vector<png_bytep> rows(decoder.height());
  for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = pixels.data() + y * decoder.row_bytes();
  if (!decoder.read_pixels(rows.data())) throw damaged_image(name, decoder.message());
  return {static_cast<int>(decoder.width()), static_cast<int>(decoder.height()),
          decoder.is_wide_grey() ? clip_grey(pixels) : std::move(pixels)};
}

}  // namespace sdsclip
