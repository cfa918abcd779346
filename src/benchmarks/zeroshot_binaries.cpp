#include <array>
#include <functional>
#include <memory>
#include <span>

#include "gzip.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "zeroshot_layouts.h"

namespace sdsclip {
namespace {

// A file of records of the same length: label bytes, then bare pixels.
struct RecordFile {
  std::string name;                            // below the data folder
  std::shared_ptr<const std::string> content;  // unpacked
  std::uint64_t header_size = 0;               // bytes before the first record
  std::uint64_t label_size = 0;                // bytes per record before its pixels
  RawPixels pixels;

  [[nodiscard]] std::uint64_t pixel_bytes() const {
    return static_cast<std::uint64_t>(pixels.width) * static_cast<std::uint64_t>(pixels.height) *
           static_cast<std::uint64_t>(pixels.channels);
  }
  [[nodiscard]] std::uint64_t record_size() const { return label_size + pixel_bytes(); }
};

bool is_gzip(const fs::path& path) {
  return path.extension() == ".gz";
}

std::shared_ptr<const std::string> content_of(const fs::path& path) {
  return std::make_shared<const std::string>(is_gzip(path) ? read_gzip(path) : read_file(path));
}

std::uint64_t record_count(const fs::path& path, const RecordFile& file) {
  const std::uint64_t size = file.content->size();
  if (size < file.header_size || (size - file.header_size) % file.record_size() != 0) {
    throw input_error(
        "{}: got {} bytes, expected {} and a multiple of {}; the file is damaged or another format",
        path.string(), size, file.header_size, file.record_size());
  }
  return (size - file.header_size) / file.record_size();
}

void add_records(CaseTableBuilder& builder, const fs::path& path, const RecordFile& file, std::size_t classes,
                 const std::function<char(std::uint64_t number)>& label_of) {
  const std::uint64_t records = record_count(path, file);
  for (std::uint64_t number = 0; number < records && !builder.part_is_full(); ++number) {
    const std::string where = fmt::format("{}: record {}", path.string(), number);
    const unsigned char label = static_cast<unsigned char>(label_of(number));
    if (label >= classes) {
      throw input_error("{}: got label {}, expected one below {}, the number of classnames.txt's lines",
                        where, label, classes);
    }
    const std::uint64_t offset = file.header_size + number * file.record_size() + file.label_size;
    add_labelled_image(builder,
                       {.id = fmt::format("{}:{}", file.name, number),
                        .file = path,
                        .range = {.offset = offset, .size = file.pixel_bytes()},
                        .raw = file.pixels,
                        .unpacked = is_gzip(path) ? file.content : nullptr},
                       label, where);
  }
}

void require_bytes(const fs::path& path, const std::string& content, std::size_t bytes) {
  if (content.size() >= bytes) return;
  throw input_error("{}: ends at byte {}, expected {} bytes; was it cut short?", path.string(),
                    content.size(), bytes);
}

std::uint32_t big_endian(const std::string& bytes, std::size_t offset) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[offset + i]);
  return value;
}

// IDX: a magic number with the element type and the number of dimensions, then the dimensions.
std::vector<std::uint32_t> idx_dimensions(const fs::path& path, const std::string& content,
                                          std::size_t dimensions) {
  require_bytes(path, content, 4 + 4 * dimensions);
  const std::uint32_t expected = 0x0800 + static_cast<std::uint32_t>(dimensions);
  if (big_endian(content, 0) != expected) {
    throw input_error(
        "{}: got magic number {:#010x}, expected {:#010x}; add .gz to its name if it is one, or unpack it "
        "with gunzip",
        path.string(), big_endian(content, 0), expected);
  }
  std::vector<std::uint32_t> sizes;
  for (std::size_t i = 0; i < dimensions; ++i) sizes.push_back(big_endian(content, 4 + 4 * i));
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
  const std::string name = ten.empty() ? first_there(data, kCifar100) : ten;
  const RecordFile file{.name = name,
                        .content = content_of(data / name),
                        .label_size = ten.empty() ? std::uint64_t{2} : std::uint64_t{1},
                        .pixels = {.width = 32, .height = 32, .channels = 3}};
  // A record of CIFAR-100 begins with the coarse label; the fine label is next to the pixels.
  add_records(builder, data / name, file, classes, [&](std::uint64_t number) {
    return (*file.content)[number * file.record_size() + file.label_size - 1];
  });
}

bool is_mnist(const fs::path& data) {
  return !first_there(data, kMnistImages).empty();
}

void load_mnist(CaseTableBuilder& builder, const fs::path& data, std::size_t classes) {
  const std::string name = first_there(data, kMnistImages);
  const fs::path path = data / name;
  fs::path label_path = path.parent_path() / "t10k-labels-idx1-ubyte";
  if (!fs::exists(label_path)) label_path += ".gz";
  RecordFile file{.name = name, .content = content_of(path), .header_size = 16, .pixels = {.channels = 1}};
  const std::string labels = *content_of(label_path);
  const std::vector<std::uint32_t> sizes = idx_dimensions(path, *file.content, 3);
  const std::uint32_t label_count = idx_dimensions(label_path, labels, 1).front();
  constexpr std::uint32_t kLargestSide = 1 << 14;
  if (label_count != sizes[0] || sizes[1] == 0 || sizes[1] > kLargestSide || sizes[2] == 0 ||
      sizes[2] > kLargestSide) {
    throw input_error("{}: got {} images of {}x{} and {} labels, expected as many labels as images",
                      path.string(), sizes[0], sizes[2], sizes[1], label_count);
  }
  file.pixels.width = static_cast<int>(sizes[2]);
  file.pixels.height = static_cast<int>(sizes[1]);
  if (record_count(path, file) != sizes[0]) {
    throw input_error("{}: got {} images, its header says {}; the file is damaged", path.string(),
                      record_count(path, file), sizes[0]);
  }
  constexpr std::size_t kLabelHeader = 8;
  require_bytes(label_path, labels, kLabelHeader + label_count);
  add_records(builder, path, file, classes,
              [&](std::uint64_t number) { return labels[kLabelHeader + number]; });
}

}  // namespace sdsclip
