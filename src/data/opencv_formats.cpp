// BMP, TIFF and PPM: OpenCV decodes the pixels. The header is checked first, because OpenCV gives other
// pixels than Pillow for the rarer variants and returns an image for a truncated file.
#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <opencv2/imgcodecs.hpp>

#include "decoders.h"

namespace sdsclip {
namespace {

Error refused(const std::string& name, std::string_view format, std::string_view what) {
  return input_error("{}: a {} with {} is not read; save it as PNG", name, format, what);
}

/// Reads unsigned integers at any place of a file.
class Numbers {
 public:
  Numbers(std::string_view bytes, bool big_endian, const std::string& name)
      : bytes_(bytes), big_endian_(big_endian), name_(name) {}

  [[nodiscard]] std::uint32_t at(std::uint64_t offset, std::size_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) {
      throw damaged_image(name_, "its header ends early");
    }
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t byte = static_cast<std::size_t>(offset) + (big_endian_ ? i : size - 1 - i);
      value = value << 8 | static_cast<unsigned char>(bytes_[byte]);
    }
    return value;
  }

 private:
  std::string_view bytes_;
  bool big_endian_;
  const std::string& name_;
};

/// Decodes a file with a checked header to RGB with OpenCV.
StoredImage decode_with_opencv(std::string_view bytes, int width, int height, PixelMode mode,
                               const std::string& name) {
  const cv::Mat encoded(1, static_cast<int>(bytes.size()), CV_8UC1,
                        const_cast<char*>(bytes.data()));  // it is only read
  const auto decode = [&]() -> cv::Mat {
    try {
      return cv::imdecode(encoded, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
    } catch (const cv::Exception&) {
      return {};
    }
  };
  require_memory(width, height);  // libtiff crashes if it finds none
  cv::Mat decoded = decode();
  if (decoded.empty()) {
    require_memory(width, height);
    decoded = decode();
  }
  if (decoded.cols != width || decoded.rows != height || decoded.type() != CV_8UC3) {
    throw damaged_image(name, "its pixels cannot be read");
  }
  const std::size_t row_bytes = static_cast<std::size_t>(width) * 3;
  StoredImage image{
      mode, {width, height, std::vector<std::uint8_t>(row_bytes * static_cast<std::size_t>(height))}, {}};
  cv::Mat rgb(height, width, CV_8UC3, image.colour.pixels.data());
  constexpr std::array<int, 6> kBgrToRgb = {0, 2, 1, 1, 2, 0};
  cv::mixChannels(&decoded, 1, &rgb, 1, kBgrToRgb.data(), 3);
  return image;
}

/// Whether a BMP's palette of 256 colours is a grey ramp, which Pillow opens as "L".
bool is_grey_ramp(const Numbers& numbers, std::uint64_t palette) {
  const std::uint32_t used = numbers.at(46, 4);
  if (used != 0 && used != 256) return false;
  for (std::uint32_t i = 0; i < 256; ++i) {
    if ((numbers.at(palette + std::uint64_t{i} * 4, 4) & 0xFFFFFF) != i * 0x010101) return false;
  }
  return true;
}

/// The values of a TIFF's first directory, by tag.
using TiffTags = std::map<std::uint32_t, std::vector<std::uint32_t>>;

constexpr std::uint32_t kStripOffsets = 273;
constexpr std::uint32_t kStripBytes = 279;

TiffTags read_tags(const Numbers& numbers) {
  TiffTags tags;
  const std::uint32_t directory = numbers.at(4, 4);
  const std::uint32_t entries = numbers.at(directory, 2);
  for (std::uint64_t i = 0; i < entries; ++i) {
    const std::uint64_t entry = std::uint64_t{directory} + 2 + i * 12;
    const std::uint32_t tag = numbers.at(entry, 2);
    const std::uint32_t type = numbers.at(entry + 2, 2);
    const std::uint32_t count = numbers.at(entry + 4, 4);
    const std::size_t size = type == 3 ? 2 : type == 4 ? 4 : 0;  // SHORT, LONG
    if (size == 0) continue;
    const std::uint64_t first = std::uint64_t{count} * size <= 4 ? entry + 8 : numbers.at(entry + 8, 4);
    // Read only the places of the strips and the few values that define the variant.
    const bool strips = tag == kStripOffsets || tag == kStripBytes;
    if (!strips && count > 8) continue;
    std::vector<std::uint32_t>& values = tags[tag];
    for (std::uint64_t k = 0; k < count; ++k) values.push_back(numbers.at(first + k * size, size));
  }
  return tags;
}

std::uint32_t first_of(const TiffTags& tags, std::uint32_t tag, std::uint32_t otherwise) {
  const auto found = tags.find(tag);
  return found == tags.end() || found->second.empty() ? otherwise : found->second.front();
}

void check_strips(const TiffTags& tags, std::size_t file_bytes, const std::string& name) {
  const auto offsets = tags.find(kStripOffsets);
  const auto sizes = tags.find(kStripBytes);
  if (offsets == tags.end() || sizes == tags.end() || offsets->second.size() != sizes->second.size()) {
    throw refused(name, "TIFF", "tiles, or without the places of its strips,");
  }
  for (std::size_t i = 0; i < sizes->second.size(); ++i) {
    if (std::uint64_t{offsets->second[i]} + sizes->second[i] > file_bytes) {
      throw damaged_image(name, "its pixels end early");
    }
  }
}

/// Reads the next number of a PPM's header and the white space and comments before it.
std::uint32_t ppm_number(std::string_view bytes, std::size_t& at, const std::string& name) {
  const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (at < bytes.size() && (is_space(bytes[at]) || bytes[at] == '#')) {
    if (bytes[at] == '#') at = std::min(bytes.find('\n', at), bytes.size() - 1);
    ++at;
  }
  const std::size_t first = at;
  std::uint32_t number = 0;
  while (at < bytes.size() && bytes[at] >= '0' && bytes[at] <= '9' && at - first < 9) {
    number = number * 10 + static_cast<std::uint32_t>(bytes[at++] - '0');
  }
  if (at == first || at == bytes.size() || !is_space(bytes[at])) {
    throw damaged_image(name, "its header is malformed");
  }
  return number;
}

}  // namespace

std::string opencv_version() {
  return CV_VERSION;
}

StoredImage decode_bmp(std::string_view bytes, const std::string& name) {
  const Numbers numbers(bytes, false, name);
  const std::uint32_t header = numbers.at(14, 4);
  if (header < 40) throw refused(name, "BMP", "an OS/2 header");
  const std::int64_t width = static_cast<std::int32_t>(numbers.at(18, 4));
  const std::int64_t signed_height = static_cast<std::int32_t>(numbers.at(22, 4));
  const std::int64_t height = std::abs(signed_height);  // negative: rows start at the top
  const std::uint32_t depth = numbers.at(28, 2);
  const std::uint32_t compression = numbers.at(30, 4);
  if (width < 1) throw damaged_image(name, "it has no pixels");
  check_image_size(static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(height), name);
  if (depth != 8 && depth != 24 && depth != 32)
    throw refused(name, "BMP", fmt::format("{} bits per pixel", depth));
  if (compression != 0) throw refused(name, "BMP", fmt::format("compression {}", compression));
  const std::uint64_t row_bytes = (static_cast<std::uint64_t>(width) * depth + 31) / 32 * 4;
  const std::uint64_t needed = numbers.at(10, 4) + row_bytes * static_cast<std::uint64_t>(height);
  if (needed > bytes.size()) throw damaged_image(name, "its pixels end early");
  const bool has_palette = depth == 8 && !is_grey_ramp(numbers, 14 + std::uint64_t{header});
  return decode_with_opencv(bytes, static_cast<int>(width), static_cast<int>(height),
                            has_palette ? PixelMode::kNearest : PixelMode::kRgb, name);
}

StoredImage decode_tiff(std::string_view bytes, const std::string& name) {
  const TiffTags tags = read_tags(Numbers(bytes, bytes[0] == 'M', name));
  const std::uint32_t width = first_of(tags, 256, 0);
  const std::uint32_t height = first_of(tags, 257, 0);
  check_image_size(width, height, name);
  constexpr std::array<std::uint32_t, 5> kCompressions = {1, 5, 8, 32946,
                                                          32773};  // none, LZW, deflate, PackBits
  const std::uint32_t compression = first_of(tags, 259, 1);
  if (std::find(kCompressions.begin(), kCompressions.end(), compression) == kCompressions.end()) {
    throw refused(name, "TIFF", fmt::format("compression {}", compression));
  }
  const std::uint32_t photometric = first_of(tags, 262, 99);  // 1 grey, 2 RGB
  const std::uint32_t samples = first_of(tags, 277, 1);
  if (!(photometric == 1 && samples == 1) && !(photometric == 2 && samples == 3)) {
    throw refused(name, "TIFF", fmt::format("colours of kind {} in {} channels", photometric, samples));
  }
  const auto depths = tags.find(258);
  if (depths == tags.end() || std::any_of(depths->second.begin(), depths->second.end(),
                                          [](std::uint32_t bits) { return bits != 8; })) {
    throw refused(name, "TIFF", "other than 8 bits per channel");
  }
  if (first_of(tags, 274, 1) != 1) throw refused(name, "TIFF", "an orientation other than 1");
  if (first_of(tags, 284, 1) != 1) throw refused(name, "TIFF", "separate planes");
  if (first_of(tags, 339, 1) != 1) throw refused(name, "TIFF", "samples that are not unsigned integers");
  check_strips(tags, bytes.size(), name);
  return decode_with_opencv(bytes, static_cast<int>(width), static_cast<int>(height), PixelMode::kRgb, name);
}

StoredImage decode_ppm(std::string_view bytes, const std::string& name) {
  const char kind = bytes[1];
  if (kind != '5' && kind != '6') throw refused(name, "PPM", fmt::format("magic number P{}", kind));
  std::size_t at = 2;
  const std::uint32_t width = ppm_number(bytes, at, name);
  const std::uint32_t height = ppm_number(bytes, at, name);
  const std::uint32_t maximum = ppm_number(bytes, at, name);
  check_image_size(width, height, name);
  if (maximum != 255) throw refused(name, "PPM", fmt::format("a maximum of {} instead of 255", maximum));
  const std::uint64_t needed = at + 1 + std::uint64_t{width} * height * (kind == '6' ? 3 : 1);
  if (needed > bytes.size()) throw damaged_image(name, "its pixels end early");
  return decode_with_opencv(bytes, static_cast<int>(width), static_cast<int>(height), PixelMode::kRgb, name);
}

}  // namespace sdsclip
