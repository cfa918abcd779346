#include <png.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "decoders.h"

namespace sdsclip {
namespace {

constexpr png_alloc_size_t kMostChunkBytes = png_alloc_size_t{1} << 20;  // for chunks other than pixels
constexpr png_byte kPassedOver[] = "tEXt\0zTXt\0iTXt\0iCCP\0eXIf\0sPLT\0hIST\0pCAL\0sCAL";

/// libpng's decoder. It reports errors by a long jump, so methods that call it hold nothing with a
/// destructor. They return false if the image is damaged.
class PngDecoder {
 public:
  explicit PngDecoder(std::string_view bytes) : unread_(bytes) {
    png_ =
        png_create_read_struct_2(PNG_LIBPNG_VER_STRING, this, fail, ignore_warning, this, allocate, release);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, &info_, nullptr);
      throw std::bad_alloc();
    }
  }
  ~PngDecoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  /// Selects transformations to RGB bytes, or to RGBA if `keep_alpha` and there is alpha. 16-bit grey keeps
  /// its samples.
  bool read_header(bool keep_alpha) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_read_fn(png_, this, read_bytes);
    // Skip text, profile and unknown chunks, with their checksums.
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, kPassedOver, sizeof kPassedOver / 5);
    png_set_chunk_malloc_max(png_, kMostChunkBytes);
    png_set_crc_action(png_, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_read_info(png_, info_);
    const int depth = png_get_bit_depth(png_, info_);
    const int kind = png_get_color_type(png_, info_);
    stored_bytes_ = std::uint64_t{png_get_rowbytes(png_, info_)} * height();
    if (kind == PNG_COLOR_TYPE_PALETTE || (kind == PNG_COLOR_TYPE_GRAY && depth == 1)) {
      mode_ = PixelMode::kNearest;
    } else if (kind == PNG_COLOR_TYPE_GRAY && depth == 16) {
      mode_ = PixelMode::kGrey16;
    } else if ((kind & PNG_COLOR_MASK_ALPHA) != 0 && keep_alpha) {
      mode_ = PixelMode::kRgba;
    }
    if (mode_ == PixelMode::kGrey16) {
      png_set_swap(png_);  // to this machine's byte order
    } else {
      png_set_strip_16(png_);  // keeps the high byte, as Pillow does
      png_set_palette_to_rgb(png_);
      png_set_expand_gray_1_2_4_to_8(png_);
      if (mode_ != PixelMode::kRgba) png_set_strip_alpha(png_);
      png_set_gray_to_rgb(png_);
    }
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  /// `rows` has one pointer per row, each to `row_bytes()` bytes. Reads to the end of the file, so that every
  /// checksum is verified.
  bool read_pixels(png_bytepp rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

  [[nodiscard]] std::uint32_t width() const { return png_get_image_width(png_, info_); }
  [[nodiscard]] std::uint32_t height() const { return png_get_image_height(png_, info_); }
  [[nodiscard]] std::size_t row_bytes() const { return png_get_rowbytes(png_, info_); }
  [[nodiscard]] PixelMode mode() const { return mode_; }
  /// The fewest bytes that can hold the image: deflate expands one byte to at most 1032.
  [[nodiscard]] std::uint64_t fewest_bytes() const { return stored_bytes_ / 1040; }
  /// The reason why a method returned false. Throws if memory ran out.
  [[nodiscard]] std::string_view message() const {
    if (out_of_memory_) throw std::bad_alloc();
    return message_;
  }

 private:
  static png_voidp allocate(png_structp png, png_alloc_size_t bytes) {
    void* const memory = std::malloc(bytes);
    if (memory == nullptr) static_cast<PngDecoder*>(png_get_mem_ptr(png))->out_of_memory_ = true;
    return memory;
  }
  static void release(png_structp, png_voidp memory) { std::free(memory); }

  [[noreturn]] static void fail(png_structp png, png_const_charp message) {
    PngDecoder* decoder = static_cast<PngDecoder*>(png_get_error_ptr(png));
    std::strncpy(decoder->message_, message, sizeof decoder->message_ - 1);
    png_longjmp(png, 1);
  }
  static void ignore_warning(png_structp, png_const_charp) {}  // about metadata; Pillow ignores them too

  static void read_bytes(png_structp png, png_bytep target, std::size_t count) {
    PngDecoder* decoder = static_cast<PngDecoder*>(png_get_io_ptr(png));
    if (decoder->unread_.size() < count) png_error(png, "the file ends too early");
    std::memcpy(target, decoder->unread_.data(), count);
    decoder->unread_.remove_prefix(count);
  }

  std::string_view unread_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  PixelMode mode_ = PixelMode::kRgb;
  std::uint64_t stored_bytes_ = 0;
  bool out_of_memory_ = false;
  char message_[128] = "";
};

}  // namespace

StoredImage decode_png(std::string_view bytes, const std::string& name, bool keep_alpha) {
  PngDecoder decoder(bytes);
  if (!decoder.read_header(keep_alpha)) throw damaged_image(name, decoder.message());
  check_image_size(decoder.width(), decoder.height(), name);
  if (decoder.fewest_bytes() > bytes.size()) {
    throw damaged_image(name, fmt::format("{} bytes cannot hold {} x {} pixels", bytes.size(),
                                          decoder.width(), decoder.height()));
  }

  std::vector<std::uint8_t> pixels(decoder.row_bytes() * decoder.height());
  std::vector<png_bytep> rows(decoder.height());
  for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = pixels.data() + y * decoder.row_bytes();
  if (!decoder.read_pixels(rows.data())) throw damaged_image(name, decoder.message());
  const int width = static_cast<int>(decoder.width());
  const int height = static_cast<int>(decoder.height());
  if (decoder.mode() == PixelMode::kRgba) return split_channels(PixelMode::kRgba, width, height, pixels);
  if (decoder.mode() == PixelMode::kGrey16)
    return {PixelMode::kGrey16, {width, height, {}}, std::move(pixels)};
  return {decoder.mode(), {width, height, std::move(pixels)}, {}};
}

}  // namespace sdsclip
