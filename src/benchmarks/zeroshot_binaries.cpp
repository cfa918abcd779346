#include "sdsclip/base/error.h"
#include "tar_index.h"
#include "zeroshot_layouts.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;

// A file of equally long records: some label bytes, then bare pixels.
struct RecordFile {
  std::string name;               // below the data folder
  std::uint64_t header_size = 0;  // bytes before the first record
  std::uint64_t label_size = 0;   // bytes of a record before its pixels
  RawPixels pixels;
};

std::uint64_t pixel_bytes(const RawPixels& pixels) {
  return static_cast<std::uint64_t>(pixels.width) * static_cast<std::uint64_t>(pixels.height) *
         static_cast<std::uint64_t>(pixels.channels);
}

std::uint64_t record_count(const fs::path& data, const RecordFile& file) {
  const fs::path path = data / file.name;
  const std::uint64_t record_size = file.label_size + pixel_bytes(file.pixels);
  const std::uint64_t size = fs::file_size(path);
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
                      .crop = std::nullopt,
                      .range = range,
                      .raw = file.pixels},
                     label, where);
}

std::uint32_t big_endian(const std::string& bytes, std::size_t offset) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[offset + i]);
  return value;
}

// IDX: a magic number that says bytes and how many dimensions, then the dimensions.
std::vector<std::uint32_t> idx_dimensions(const fs::path& path, std::size_t dimensions) {
  const std::string header = read_range(path, {.offset = 0, .size = 4 + 4 * dimensions});
  const std::uint32_t expected = 0x0800 + static_cast<std::uint32_t>(dimensions);
  if (big_endian(header, 0) != expected) {
    throw input_error(
        "{}: got magic number {:#010x}, expected {:#010x}; unpack it with gunzip if it is a .gz",
        path.string(), big_endian(header, 0), expected);
  }
  std::vector<std::uint32_t> sizes;
  for (std::size_t i = 0; i < dimensions; ++i) sizes.push_back(big_endian(header, 4 + 4 * i));
  return sizes;
}

}  // namespace

bool is_cifar(const fs::path& data) {
  return fs::exists(data / "test_batch.bin") || fs::exists(data / "test.bin");
}

void load_cifar(CaseTableBuilder& builder, const fs::path& data, std::size_t classes) {
  const bool ten = fs::exists(data / "test_batch.bin");
  const RecordFile file{.name = ten ? "test_batch.bin" : "test.bin",
                        .header_size = 0,
                        .label_size = ten ? std::uint64_t{1} : std::uint64_t{2},
                        .pixels = {.width = 32, .height = 32, .channels = 3}};
  const std::uint64_t records = record_count(data, file);
  const std::string bytes =
      read_range(data / file.name, {.offset = 0, .size = fs::file_size(data / file.name)});
  const std::uint64_t record_size = file.label_size + pixel_bytes(file.pixels);
  for (std::uint64_t number = 0; number < records && !builder.part_is_full(); ++number) {
    // CIFAR-100's record begins with the coarse label; the fine one is next to the pixels.
    const char label = bytes[number * record_size + file.label_size - 1];
    add_record(builder, data, file, number, static_cast<unsigned char>(label), classes);
  }
}

bool is_mnist(const fs::path& data) {
  return fs::exists(data / "t10k-images-idx3-ubyte");
}

void load_mnist(CaseTableBuilder& builder, const fs::path& data, std::size_t classes) {
  const fs::path image_path = data / "t10k-images-idx3-ubyte";
  const fs::path label_path = data / "t10k-labels-idx1-ubyte";
  const std::vector<std::uint32_t> sizes = idx_dimensions(image_path, 3);
  const std::vector<std::uint32_t> labels = idx_dimensions(label_path, 1);
  constexpr std::uint32_t kLargestSide = 1 << 14;
  if (labels[0] != sizes[0] || sizes[1] == 0 || sizes[1] > kLargestSide || sizes[2] == 0 ||
      sizes[2] > kLargestSide) {
    throw input_error("{}: got {} images of {}x{} and {} labels, expected as many labels as images",
                      image_path.string(), sizes[0], sizes[2], sizes[1], labels[0]);
  }
  const RecordFile file{
      .name = image_path.filename().string(),
      .header_size = 16,
      .label_size = 0,
      .pixels = {.width = static_cast<int>(sizes[2]), .height = static_cast<int>(sizes[1]), .channels = 1}};
  if (record_count(data, file) != sizes[0]) {
    throw input_error("{}: got {} images, its header says {}; the file is damaged", image_path.string(),
                      record_count(data, file), sizes[0]);
  }
  const std::string label_bytes = read_range(label_path, {.offset = 8, .size = labels[0]});
  for (std::uint32_t number = 0; number < sizes[0] && !builder.part_is_full(); ++number) {
    add_record(builder, data, file, number, static_cast<unsigned char>(label_bytes[number]), classes);
  }
}

}  // namespace sdsclip
