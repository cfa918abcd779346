#include <csetjmp>
#include <cstdio>  // before jpeglib.h, which needs FILE and size_t
#include <new>
#include <vector>

#include <jpeglib.h>

#include <jerror.h>

#include "decoders.h"

namespace sdsclip {
namespace {

// A progressive JPEG is refined scan by scan, and libjpeg keeps all coefficients in memory. Encoders write 10
// scans, or 18 for CMYK; each takes about 3 ns per pixel.
constexpr int kUsualScans = 18;
constexpr int kMostScans = 100;
constexpr std::uint64_t kMostScannedPixels = std::uint64_t{1}
                                             << 29;  // pixels times scans, for more scans than usual
constexpr std::uint64_t kMostCoefficientBytes = std::uint64_t{1} << 30;

struct JpegErrors {
  jpeg_error_mgr manager;  // first, because libjpeg passes a pointer to it
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
  bool out_of_memory = false;
};

[[noreturn]] void fail(j_common_ptr decoder) {
  JpegErrors* errors = reinterpret_cast<JpegErrors*>(decoder->err);
  errors->manager.format_message(decoder, errors->message);
  errors->out_of_memory = decoder->err->msg_code == JERR_OUT_OF_MEMORY;
  std::longjmp(errors->jump, 1);
}

/// Whether pixels are missing or wrong after this warning. Other warnings (stray bytes between segments, odd
/// metadata) are common and harmless, and Pillow ignores them.
bool spoils_pixels(int message_code) {
  return message_code == JWRN_JPEG_EOF || message_code == JWRN_HIT_MARKER ||
         message_code == JWRN_HUFF_BAD_CODE || message_code == JWRN_ARITH_BAD_CODE ||
         message_code == JWRN_MUST_RESYNC;
}

void on_message(j_common_ptr decoder, int level) {
  if (level < 0 && spoils_pixels(decoder->err->msg_code)) fail(decoder);
}

/// A libjpeg callback that stops at the first scan too many.
void count_scans(j_common_ptr common) {
  const j_decompress_ptr decoder = reinterpret_cast<j_decompress_ptr>(common);
  const std::uint64_t pixels = std::uint64_t{decoder->image_width} * decoder->image_height;
  const int scans = decoder->input_scan_number;
  const bool few = pixels * static_cast<std::uint64_t>(scans) <= kMostScannedPixels;
  if (scans <= kUsualScans || (scans <= kMostScans && few)) return;
  JpegErrors* errors = reinterpret_cast<JpegErrors*>(common->err);
  std::snprintf(errors->message, sizeof errors->message,
                "it has more than %d scans, too many for %u x %u pixels; save it again", scans - 1,
                decoder->image_width, decoder->image_height);
  std::longjmp(errors->jump, 1);
}

/// libjpeg's decoder. It reports errors by a long jump, so methods that call it hold nothing with a
/// destructor. They return false if the image is damaged.
class JpegDecoder {
 public:
  JpegDecoder() {
    decoder_.err = jpeg_std_error(&errors_.manager);
    errors_.manager.error_exit = fail;
    errors_.manager.emit_message = on_message;
    if (setjmp(errors_.jump) != 0) {  // only a lack of memory can bring us here
      jpeg_destroy_decompress(&decoder_);
      throw std::bad_alloc();
    }
    jpeg_create_decompress(&decoder_);
    progress_.progress_monitor = count_scans;
    decoder_.progress = &progress_;
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
    constexpr JDIMENSION kRowsACall = 4;  // what libjpeg produces at once for a subsampled image
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

  /// The fewest bytes that can hold an image of this size: one bit per block of 8 x 8 samples.
  [[nodiscard]] std::uint64_t fewest_bytes() const { return decoder_.arith_code != 0 ? 0 : blocks() / 8; }
  /// The memory that libjpeg allocates before it reads a scan.
  [[nodiscard]] std::uint64_t coefficient_bytes() const {
    return jpeg_has_multiple_scans(const_cast<j_decompress_ptr>(&decoder_)) != 0 ? blocks() * sizeof(JBLOCK)
                                                                                 : 0;
  }

  [[nodiscard]] int width() const { return static_cast<int>(decoder_.image_width); }
  [[nodiscard]] int height() const { return static_cast<int>(decoder_.image_height); }
  [[nodiscard]] bool has_four_inks() const { return decoder_.num_components == 4; }
  [[nodiscard]] int channels() const { return has_four_inks() ? 4 : 3; }
  /// The reason why a method returned false. Throws if memory ran out.
  [[nodiscard]] std::string_view message() const {
    if (errors_.out_of_memory) throw std::bad_alloc();
    return errors_.message;
  }

 private:
  [[nodiscard]] std::uint64_t blocks() const {
    std::uint64_t total = 0;
    for (int i = 0; i < decoder_.num_components; ++i) {
      total += std::uint64_t{decoder_.comp_info[i].width_in_blocks} * decoder_.comp_info[i].height_in_blocks;
    }
    return total;
  }

  jpeg_decompress_struct decoder_{};
  JpegErrors errors_{};
  jpeg_progress_mgr progress_{};
};

}  // namespace

StoredImage decode_jpeg(std::string_view bytes, const std::string& name) {
  JpegDecoder decoder;
  if (!decoder.read_header(bytes)) throw damaged_image(name, decoder.message());
  check_image_size(static_cast<std::uint64_t>(decoder.width()), static_cast<std::uint64_t>(decoder.height()),
                   name);
  if (decoder.fewest_bytes() > bytes.size()) {
    throw damaged_image(name, fmt::format("{} bytes cannot hold {} x {} pixels", bytes.size(),
                                          decoder.width(), decoder.height()));
  }
  if (decoder.coefficient_bytes() > kMostCoefficientBytes) {
    throw input_error(
        "{}: a progressive JPEG of {} x {} pixels takes {} MiB to decode, at most {} are allowed; scale it "
        "down",
        name, decoder.width(), decoder.height(), decoder.coefficient_bytes() >> 20,
        kMostCoefficientBytes >> 20);
  }

  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(decoder.width()) *
                                   static_cast<std::size_t>(decoder.height()) *
                                   static_cast<std::size_t>(decoder.channels()));
  if (!decoder.read_pixels(pixels.data())) throw damaged_image(name, decoder.message());
  if (!decoder.has_four_inks()) {
    return {PixelMode::kRgb, {decoder.width(), decoder.height(), std::move(pixels)}, {}};
  }
  // JPEG stores the complements of the inks (Adobe's convention).
  for (std::uint8_t& ink : pixels) ink = static_cast<std::uint8_t>(255U - ink);
  return split_channels(PixelMode::kCmyk, decoder.width(), decoder.height(), pixels);
}

}  // namespace sdsclip
