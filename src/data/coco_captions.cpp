#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/data/captions.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// One image and its captions' places in the index.
struct CocoSample {
  std::uint32_t name_offset = 0;    // in the names' text
  std::uint32_t first_caption = 0;  // in the list of captions
  std::uint32_t caption_count = 0;
};

class CocoCaptions : public CaptionDataset {
 public:
  CocoCaptions(const fs::path& annotations, fs::path images);

  [[nodiscard]] std::int64_t size() const override { return static_cast<std::int64_t>(samples_.size()); }

  [[nodiscard]] CaptionRecord record(std::int64_t index) const override {
    const CocoSample& sample = samples_.at(static_cast<std::size_t>(index));
    CaptionRecord record;
    record.image_name = name_of(sample);
    for (std::uint32_t i = 0; i < sample.caption_count; ++i) {
      record.captions.emplace_back(text_.c_str() + captions_[sample.first_caption + i]);
    }
    return record;
  }

  [[nodiscard]] std::string image_bytes(std::int64_t index) const override {
    return read_file(images_ / name_of(samples_.at(static_cast<std::size_t>(index))));
  }

  [[nodiscard]] std::size_t index_bytes() const override {
    return samples_.size() * sizeof(CocoSample) + captions_.size() * sizeof(std::uint32_t);
  }

 private:
  [[nodiscard]] std::string name_of(const CocoSample& sample) const {
    return text_.c_str() + sample.name_offset;
  }
  std::uint32_t add_text(const std::string& text);

  fs::path images_;
  std::string text_;  // NUL-terminated names and captions
  std::vector<CocoSample> samples_;
  std::vector<std::uint32_t> captions_;  // offsets in `text_`, a sample's together
};

std::uint32_t CocoCaptions::add_text(const std::string& text) {
  const std::size_t offset = text_.size();
  if (offset + text.size() + 1 > std::numeric_limits<std::uint32_t>::max()) {
    throw input_error("a COCO captions file with more than 4 GiB of text; use data.format: webdataset");
  }
  text_ += text;
  text_ += '\0';
  return static_cast<std::uint32_t>(offset);
}

Error bad_record(const fs::path& file, std::string_view list, std::size_t record, std::string_view expected) {
  return input_error("{}: {}[{}]: expected {}", file.string(), list, record, expected);
}

const Json& list_of(const Json& document, const char* name, const fs::path& file) {
  if (!document.is_object() || !document.contains(name) || !document[name].is_array()) {
    throw input_error("{}: has no list '{}', expected a COCO captions file (captions_train2017.json)",
                      file.string(), name);
  }
  return document[name];
}

CocoCaptions::CocoCaptions(const fs::path& annotations, fs::path images) : images_(std::move(images)) {
  const std::string bytes = read_file(annotations);
  Json document;
  try {
    document = Json::parse(bytes);
  } catch (const Json::parse_error& failure) {
    throw input_error("{}: not JSON: {}", annotations.string(), failure.what());
  }
  const Json& image_list = list_of(document, "images", annotations);
  const Json& annotation_list = list_of(document, "annotations", annotations);

  std::unordered_map<std::int64_t, std::uint32_t> row_of_id;
  std::vector<CocoSample> rows;
  for (std::size_t i = 0; i < image_list.size(); ++i) {
    const Json& image = image_list[i];
    if (!image.is_object() || !image.contains("id") || !image["id"].is_number_integer() ||
        !image.contains("file_name") || !image["file_name"].is_string()) {
      throw bad_record(annotations, "images", i, "an integer 'id' and a text 'file_name'");
    }
    if (!row_of_id.emplace(image["id"].get<std::int64_t>(), static_cast<std::uint32_t>(i)).second) {
      throw bad_record(annotations, "images", i, "an 'id' of its own");
    }
    CocoSample row;
    row.name_offset = add_text(image["file_name"].get<std::string>());
    rows.push_back(row);
  }
  std::vector<std::pair<std::uint32_t, std::uint32_t>> placed;  // (row, offset), in the file's order
  for (std::size_t i = 0; i < annotation_list.size(); ++i) {
    const Json& annotation = annotation_list[i];
    if (!annotation.is_object() || !annotation.contains("image_id") ||
        !annotation["image_id"].is_number_integer() || !annotation.contains("caption") ||
        !annotation["caption"].is_string()) {
      throw bad_record(annotations, "annotations", i, "an integer 'image_id' and a text 'caption'");
    }
    const auto row = row_of_id.find(annotation["image_id"].get<std::int64_t>());
    if (row == row_of_id.end()) {
      throw bad_record(annotations, "annotations", i, "an 'image_id' that is in 'images'");
    }
    placed.emplace_back(row->second, add_text(annotation["caption"].get<std::string>()));
  }
  std::stable_sort(placed.begin(), placed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [row, offset] : placed) {
    if (rows[row].caption_count++ == 0)
      rows[row].first_caption = static_cast<std::uint32_t>(captions_.size());
    captions_.push_back(offset);
  }
  for (const CocoSample& row : rows) {
    if (row.caption_count > 0) samples_.push_back(row);
  }
  if (samples_.empty()) throw input_error("{}: holds no image with a caption", annotations.string());
}

}  // namespace

std::unique_ptr<CaptionDataset> open_coco_captions(const fs::path& annotations, const fs::path& images) {
  return std::make_unique<CocoCaptions>(annotations, images);
}

}  // namespace sdsclip
