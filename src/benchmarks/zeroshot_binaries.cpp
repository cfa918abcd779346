#include <array>
#include <memory>
#include <span>

#include "gzip.h"
#include "sdsclip/base/error.h"
#include "tar_index.h"
#include "zeroshot_layouts.h"

namespace sdsclip {
namespace {

using Unpacked = std::shared_ptr<const std::string>;

// A file of records of the same length: label bytes, then bare pixels.
struct RecordFile {
  std::string name;               // below the data folder
  Unpacked unpacked;              // the content, if the file is compressed; else null
  std::uint64_t header_size = 0;  // bytes before the first record
  std::uint64_t label_size = 0;   // bytes per record before its pixels
  RawPixels pixels;
};

std::uint64_t pixel_bytes(const RawPixels& pixels) {
  return static_cast<std::uint64_t>(pixels.width) * static_cast<std::uint64_t>(pixels.height) *
         static_cast<std::uint64_t>(pixels.channels);
}

std::uint64_t record_count(const fs::path& data, const RecordFile& file) {
  const fs::path path = data / file.name;
  const std::uint64_t record_size = file.label_size + pixel_bytes(file.pixels);
  const std::uint64_t size = file.unpacked ? file.unpacked->size() : fs::file_size(path);
  if (size < file.header_size || (size - file.header_size) % record_size != 0) {
    throw input_error(
        "{}: got {} bytes, expected {} and a multiple of {}; the file is damaged or another format",
        path.string(), size, file.header_size, record_size);
  }
  return (size - file.header_size) / record_size;
}

void add_record(CaseTableBuilder& builder, const fs::path& data, const RecordFile& file, std::uint64_t number,
                unsigned char label, std::size_t classes) {
  const fs::path path = data / file.name;
  const std::string where = fmt::format("{}: record {}", path.string(), number);
  if (label >= classes) {
    throw input_error("{}: got label {}, expected one below {}, the number of classnames.txt's lines", where,
                      label, classes);
  }
  const std::uint64_t record_size = file.label_size + pixel_bytes(file.pixels);
  const ByteRange range{.offset = file.header_size + number * record_size + file.label_size,
                        .size = pixel_bytes(file.pixels)};
  add_labelled_image(builder,
                     {.id = fmt::format("{}:{}", file.name, number),
                      .file = path,
                      .range = range,
                      .raw = file.pixels,
                      .unpacked = file.unpacked},
                     label, where);
}

std::uint32_t big_endian(const std::string& bytes, std::size_t offset) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[offset + i]);
  return value;
}

std::string read_part(const fs::path& path, const Unpacked& unpacked, const ByteRange& range) {
  if (!unpacked) return read_range(path, range);
  if (unpacked->size() < range.offset + range.size) {
    throw input_error("{}: ends before byte {} when unpacked; fetch it again", path.string(),
                      range.offset + range.size);
  }
  return unpacked->substr(range.offset, range.size);
}

// IDX: a magic number with the element type and the number of dimensions, then the dimensions.
std::vector<std::uint32_t> idx_dimensions(const fs::path& path, const Unpacked& unpacked,
                                          std::size_t dimensions) {
  const std::string header = read_part(path, unpacked, {.offset = 0, .size = 4 + 4 * dimensions});
  const std::uint32_t expected = 0x0800 + static_cast<std::uint32_t>(dimensions);
  if (big_endian(header, 0) != expected) {
    throw input_error(
        "{}: got magic number {:#010x}, expected {:#010x}; add .gz to its name if it is one, or unpack it "
        "with gunzip",
        path.string(), big_endian(header, 0), expected);
  }
  std::vector<std::uint32_t> sizes;
  for (std::size_t i = 0; i < dimensions; ++i) sizes.push_back(big_endian(header, 4 + 4 * i));
  return sizes;
}

// The first of `names` that exists below the data folder, or an empty text. Archives unpack into their own
// folders, and torchvision puts MNIST into another one.
std::string first_there(const fs::path& data, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    if (fs::is_regular_file(data / name)) return std::string(name);
  }
  return {};
}

constexpr std::array<std::string_view, 2> kCifar10 = {"test_batch.bin",
                                                      "cifar-10-batches-bin/test_batch.bin"};
constexpr std::array<std::string_view, 2> kCifar100 = {"test.bin", "cifar-100-binary/test.bin"};
constexpr std::array<std::string_view, 4> kMnistImages = {
    "t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz", "MNIST/raw/t10k-images-idx3-ubyte",
    "MNIST/raw/t10k-images-idx3-ubyte.gz"};
constexpr std::array<std::string_view, 6> kOtherCifar = {
    "cifar-10-binary.tar.gz",  "cifar-100-binary.tar.gz",        "cifar-10-python.tar.gz",
    "cifar-100-python.tar.gz", "cifar-10-batches-py/test_batch", "cifar-100-python/test"};

}  // namespace

void refuse_other_archives(const fs::path& data) {
  const std::string there = first_there(data, kOtherCifar);
  if (there.empty()) return;
  throw input_error(
      "{}: CIFAR is read from its binary version, unpacked: run 'tar xzf cifar-10-binary.tar.gz' (or "
      "cifar-100-binary.tar.gz) in {}, or convert what you have with scripts/prepare_zeroshot.py",
      (data / there).string(), data.string());
}

bool is_cifar(const fs::path& data) {
  return !first_there(data, kCifar10).empty() || !first_there(data, kCifar100).empty();
}

void load_cifar(CaseTableBuilder& builder, const fs::path& data, std::size_t classes) {
  const std::string ten = first_there(data, kCifar10);
  const RecordFile file{.name = ten.empty() ? first_there(data, kCifar100) : ten,
                        .unpacked = nullptr,
                        .header_size = 0,
                        .label_size = ten.empty() ? std::uint64_t{2} : std::uint64_t{1},
                        .pixels = {.width = 32, .height = 32, .channels = 3}};
  const std::uint64_t records = record_count(data, file);
  const std::string bytes =
      read_range(data / file.name, {.offset = 0, .size = fs::file_size(data / file.name)});
  const std::uint64_t record_size = file.label_size + pixel_bytes(file.pixels);
  for (std::uint64_t number = 0; number < records && !builder.part_is_full(); ++number) {
    // A record of CIFAR-100 begins with the coarse label; the fine label is next to the pixels.
    const char label = bytes[number * record_size + file.label_size - 1];
    add_record(builder, data, file, number, static_cast<unsigned char>(label), classes);
  }
}

bool is_mnist(const fs::path& data) {
  return !first_there(data, kMnistImages).empty();
}

void load_mnist(CaseTableBuilder& builder, const fs::path& data, std::size_t classes) {
  const std::string image_name = first_there(data, kMnistImages);
  const fs::path image_path = data / image_name;
  const std::string label_names[] = {"t10k-labels-idx1-ubyte", "t10k-labels-idx1-ubyte.gz"};
  fs::path label_path = image_path.parent_path() / label_names[0];
  if (!fs::exists(label_path)) label_path = image_path.parent_path() / label_names[1];
  const auto unpacked = [](const fs::path& path) {
    return path.extension() == ".gz" ? std::make_shared<const std::string>(read_gzip(path)) : Unpacked();
  };
  const Unpacked images = unpacked(image_path);
  const Unpacked label_file = unpacked(label_path);
  const std::vector<std::uint32_t> sizes = idx_dimensions(image_path, images, 3);
  const std::vector<std::uint32_t> labels = idx_dimensions(label_path, label_file, 1);
  constexpr std::uint32_t kLargestSide = 1 << 14;
  if (labels[0] != sizes[0] || sizes[1] == 0 || sizes[1] > kLargestSide || sizes[2] == 0 ||
      sizes[2] > kLargestSide) {
    throw input_error("{}: got {} images of {}x{} and {} labels, expected as many labels as images",
                      image_path.string(), sizes[0], sizes[2], sizes[1], labels[0]);
  }
  const RecordFile file{
      .name = image_name,
      .unpacked = images,
      .header_size = 16,
      .label_size = 0,
      .pixels = {.width = static_cast<int>(sizes[2]), .height = static_cast<int>(sizes[1]), .channels = 1}};
  if (record_count(data, file) != sizes[0]) {
    throw input_error("{}: got {} images, its header says {}; the file is damaged", image_path.string(),
                      record_count(data, file), sizes[0]);
  }
  const std::string label_bytes = read_part(label_path, label_file, {.offset = 8, .size = labels[0]});
  for (std::uint32_t number = 0; number < sizes[0] && !builder.part_is_full(); ++number) {
    add_record(builder, data, file, number, static_cast<unsigned char>(label_bytes[number]), classes);
  }
}

}  // namespace sdsclip
