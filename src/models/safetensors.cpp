#include "sdsclip/models/safetensors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/json.h"

// The format: eight bytes of header length (little endian), a JSON header {name: {dtype, shape,
// data_offsets}}, then the tensors' bytes. https://github.com/huggingface/safetensors, "Format".

namespace sdsclip {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kLongestHeader = 100'000'000;  // the reference implementation's limit
constexpr std::size_t kAlignment = 8;
constexpr std::size_t kMostDimensions = 64;
constexpr std::uint64_t kMostElements = std::numeric_limits<std::int64_t>::max() / sizeof(double);

constexpr std::pair<std::string_view, at::ScalarType> kTypes[] = {
    {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf},  {"BF16", at::kBFloat16},
    {"I64", at::kLong},   {"I32", at::kInt},   {"I16", at::kShort}, {"I8", at::kChar},
    {"U8", at::kByte},    {"BOOL", at::kBool},
};

at::ScalarType type_of(const std::string& name, const fs::path& path, const std::string& tensor) {
  for (const auto& [known, type] : kTypes) {
    if (known == name) return type;
  }
  throw input_error(
      "{}: tensor '{}': got dtype '{}', expected one of F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL",
      path.string(), tensor, name);
}

std::string_view name_of(at::ScalarType type) {
  for (const auto& [name, known] : kTypes) {
    if (known == type) return name;
  }
  throw runtime_failure("a tensor of type {} has no name in the safetensors format", c10::toString(type));
}

/// One entry of the header; its byte range has been checked against the file.
struct Entry {
  std::string name;
  at::ScalarType type = at::kFloat;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

Entry read_entry(const std::string& name, const Json& value, std::uint64_t data_bytes, const fs::path& path) {
  const auto bad = [&](std::string_view what) {
    return input_error("{}: tensor '{}': {}; the file is damaged", path.string(), name, what);
  };
  if (!value.is_object() || !value.contains("dtype") || !value["dtype"].is_string() ||
      !value.contains("shape") || !value["shape"].is_array() || !value.contains("data_offsets") ||
      !value["data_offsets"].is_array() || value["data_offsets"].size() != 2) {
    throw bad("expected dtype, shape and two data_offsets");
  }
  Entry entry;
  entry.name = name;
  entry.type = type_of(value["dtype"].get<std::string>(), path, name);
  std::uint64_t elements = 1;
  std::uint64_t stride = 1;  // zeros count as ones, because LibTorch computes strides of such shapes too
  if (value["shape"].size() > kMostDimensions) throw bad(fmt::format("more than {} sizes", kMostDimensions));
  for (const Json& size : value["shape"]) {
    if (!size.is_number_unsigned()) throw bad("a size that is not a natural number");
    const std::uint64_t extent = size.get<std::uint64_t>();
    if (extent > kMostElements / stride) throw bad("too large a shape");
    stride *= std::max<std::uint64_t>(extent, 1);
    elements *= extent;
    entry.shape.push_back(static_cast<std::int64_t>(extent));
  }
  for (const Json& offset : value["data_offsets"]) {
    if (!offset.is_number_unsigned()) throw bad("an offset that is not a natural number");
  }
  entry.begin = value["data_offsets"][0].get<std::uint64_t>();
  entry.end = value["data_offsets"][1].get<std::uint64_t>();
  if (entry.begin > entry.end || entry.end > data_bytes) throw bad("data_offsets outside the file");
  if (entry.end - entry.begin != elements * c10::elementSize(entry.type)) {
    throw bad(fmt::format("{} bytes, expected {} for its shape and dtype", entry.end - entry.begin,
                          elements * c10::elementSize(entry.type)));
  }
  return entry;
}

void check_layout(std::vector<Entry> entries, std::uint64_t data_bytes, const fs::path& path) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t position = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != position) {
      throw input_error("{}: tensor '{}' begins at byte {}, expected {}; the file is damaged", path.string(),
                        entry.name, entry.begin, position);
    }
    position = entry.end;
  }
  if (position != data_bytes) {
    throw input_error("{}: got {} bytes of data, expected {}; the file is damaged", path.string(), data_bytes,
                      position);
  }
}

/// Refuses bytes other than 0 and 1 in a tensor of booleans, because computing with them is undefined.
void check_booleans(std::string_view bytes, const Entry& entry, const fs::path& path) {
  if (bytes.find_first_not_of(std::string_view("\0\1", 2)) == std::string_view::npos) return;
  throw input_error("{}: tensor '{}': a byte other than 0 and 1 in booleans; the file is damaged",
                    path.string(), entry.name);
}

}  // namespace

const at::Tensor& SafetensorsFile::at(const std::string& name, const fs::path& path) const {
  for (const std::pair<std::string, at::Tensor>& tensor : tensors) {
    if (tensor.first == name) return tensor.second;
  }
  throw input_error("{}: has no tensor '{}'", path.string(), name);
}

SafetensorsFile read_safetensors(const fs::path& path) {
  const std::string bytes = read_file(path, kAnySize);
  std::uint64_t header_length = 0;
  if (bytes.size() < kLengthBytes) {
    throw input_error("{}: got {} bytes, expected a safetensors file", path.string(), bytes.size());
  }
  std::memcpy(&header_length, bytes.data(), kLengthBytes);
  if (header_length > kLongestHeader || header_length > bytes.size() - kLengthBytes) {
    throw input_error("{}: not a safetensors file, or truncated: its header claims {} bytes", path.string(),
                      header_length);
  }
  const std::string_view header(bytes.data() + kLengthBytes, header_length);
  const std::string where = fmt::format("{}: the header of a safetensors file", path.string());
  const Json json = parse_json_value(header, where);
  const JsonRecord record(json, where);

  const std::uint64_t data_bytes = bytes.size() - kLengthBytes - header_length;
  SafetensorsFile file;
  std::vector<Entry> entries;
  for (const auto& [name, value] : json.items()) {
    if (name != "__metadata__") {
      entries.push_back(read_entry(name, value, data_bytes, path));
      continue;
    }
    for (const auto& [key, text] : record.child(name).object().items()) {
      if (!text.is_string()) throw input_error("{}: __metadata__.{}: expected text", path.string(), key);
      file.metadata[key] = text.get<std::string>();
    }
  }
  check_layout(entries, data_bytes, path);
  const char* data = bytes.data() + kLengthBytes + header_length;
  for (const Entry& entry : entries) {
    if (entry.type == at::kBool) check_booleans({data + entry.begin, entry.end - entry.begin}, entry, path);
    at::Tensor tensor = at::empty(entry.shape, at::TensorOptions().dtype(entry.type));
    if (entry.end > entry.begin) std::memcpy(tensor.data_ptr(), data + entry.begin, entry.end - entry.begin);
    file.tensors.emplace_back(entry.name, std::move(tensor));
  }
  return file;
}

void write_safetensors(const fs::path& path, std::span<const std::pair<std::string, at::Tensor>> tensors,
                       const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t position = 0;
  std::vector<at::Tensor> contiguous;
  std::set<std::string> names;
  for (const std::pair<std::string, at::Tensor>& tensor : tensors) {
    if (!names.insert(tensor.first).second)
      throw runtime_failure("{}: two tensors named '{}'", path.string(), tensor.first);
    contiguous.push_back(tensor.second.detach().cpu().contiguous());
    const std::uint64_t size = contiguous.back().nbytes();
    append_field(header, tensor.first,
                 {{"dtype", name_of(tensor.second.scalar_type())},
                  {"shape", tensor.second.sizes().vec()},
                  {"data_offsets", {position, position + size}}});
    position += size;
  }
  std::string text = header.dump();
  text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  const std::uint64_t length = text.size();
  std::string bytes(kLengthBytes, '\0');
  std::memcpy(bytes.data(), &length, kLengthBytes);
  bytes += text;
  for (const at::Tensor& tensor : contiguous) {
    if (tensor.nbytes() > 0) bytes.append(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes());
  }
  write_file_atomically(path, bytes);
}

}  // namespace sdsclip
