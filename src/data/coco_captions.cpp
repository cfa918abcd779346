#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <utility>

#include "file_reader.h"
#include "sdsclip/base/error.h"
#include "sdsclip/data/captions.h"
#include "sdsclip/data/image.h"
#include "text_place.h"

// A captions file is read once, as a stream, and only the places of its texts are kept: at COCO's five
// captions an image that is some 52 bytes an image, where the texts themselves would be 300.

namespace sdsclip {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// The characters of a stream, counted as the JSON parser takes them. The parser takes a string up to its
/// closing quote and nothing beyond, so that at each of its calls the count says where in the file it is.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;

  CountingIterator() = default;  // the end
  CountingIterator(std::streambuf* source, std::uint64_t* count) : source_(source), count_(count) {}

  char operator*() const { return static_cast<char>(source_->sgetc()); }
  CountingIterator& operator++() {
    source_->sbumpc();
    ++*count_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_end() == other.at_end(); }

 private:
  [[nodiscard]] bool at_end() const {
    return source_ == nullptr || source_->sgetc() == std::char_traits<char>::eof();
  }

  std::streambuf* source_ = nullptr;
  std::uint64_t* count_ = nullptr;
};

/// What is read of an entry of `images` or `annotations`.
struct Entry {
  std::optional<std::int64_t> id;  // `id` of an image, `image_id` of an annotation
  std::optional<TextPlace> text;   // `file_name`, or `caption`
};

/// The parser's events of a captions file; every field but four is passed over.
class CocoReader : public Json::json_sax_t {
 public:
  CocoReader(std::string name, const std::uint64_t& position) : name_(std::move(name)), position_(position) {}

  std::vector<Entry> images;
  std::vector<Entry> annotations;
  bool has_images = false;
  bool has_annotations = false;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool number_integer(number_integer_t value) override {
    if (is_field("id", "image_id")) entry_.id = value;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    return number_integer(static_cast<number_integer_t>(value));
  }
  bool string(string_t&) override {
    if (is_field("file_name", "caption")) entry_.text = TextPlace(key_end_, position_ - key_end_, name_);
    return true;
  }

  bool start_object(std::size_t) override {
    if (++depth_ == kEntryDepth) entry_ = {};
    return true;
  }
  bool key(string_t& value) override {
    if (depth_ == 1) list_ = value;
    if (depth_ == kEntryDepth) field_ = value;
    key_end_ = position_;
    return true;
  }
  bool end_object() override {
    if (depth_ == kEntryDepth && list_ == "images") add(images, "an integer 'id' and a text 'file_name'");
    if (depth_ == kEntryDepth && list_ == "annotations") {
      add(annotations, "an integer 'image_id' and a text 'caption'");
    }
    --depth_;
    return true;
  }
  bool start_array(std::size_t) override {
    if (++depth_ == 2) {
      has_images |= list_ == "images";
      has_annotations |= list_ == "annotations";
    }
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const Json::exception& failure) override {
    throw input_error("{}: not JSON, or cut short: {}", name_, failure.what());
  }

 private:
  static constexpr int kEntryDepth = 3;  // {"images": [{...}]}

  [[nodiscard]] bool is_field(std::string_view of_image, std::string_view of_annotation) const {
    if (depth_ != kEntryDepth) return false;
    return list_ == "images" ? field_ == of_image : list_ == "annotations" && field_ == of_annotation;
  }
  void add(std::vector<Entry>& entries, std::string_view expected) {
    if (!entry_.id || !entry_.text) {
      throw input_error("{}: {}[{}]: expected {}", name_, list_, entries.size(), expected);
    }
    entries.push_back(entry_);
  }

  std::string name_;
  const std::uint64_t& position_;
  int depth_ = 0;
  std::string list_;
  std::string field_;
  std::uint64_t key_end_ = 0;
  Entry entry_;
};

class CocoCaptions : public CaptionDataset {
 public:
  CocoCaptions(const fs::path& annotations, fs::path images);

  [[nodiscard]] std::int64_t size() const override { return static_cast<std::int64_t>(names_.size()); }

  [[nodiscard]] CaptionRecord record(std::int64_t index) const override {
    const std::size_t row = static_cast<std::size_t>(index);
    CaptionRecord record;
    record.image_name = read_text(names_.at(row));
    for (std::uint32_t i = first_caption_[row]; i < first_caption_[row + 1]; ++i) {
      record.captions.push_back(read_text(captions_[i]));
    }
    return record;
  }

  [[nodiscard]] std::string image_bytes(std::int64_t index) const override {
    return read_image_bytes(images_ / read_text(names_.at(static_cast<std::size_t>(index))));
  }

  [[nodiscard]] std::size_t index_bytes() const override {
    return names_.size() * sizeof(TextPlace) + captions_.size() * sizeof(TextPlace) +
           first_caption_.size() * sizeof(std::uint32_t);
  }

 private:
  /// The place starts behind a field's name: `: "a text"`.
  [[nodiscard]] std::string read_text(const TextPlace& place) const {
    const std::string bytes = file_.read(place.offset(), place.size());
    const Json value = Json::parse(bytes.substr(std::min(bytes.find('"'), bytes.size())), nullptr, false);
    if (!value.is_string()) {
      throw input_error("{}: holds no text at byte {} any more; it was changed during the run",
                        file_.path().string(), place.offset());
    }
    return value.get<std::string>();
  }

  FileReader file_;
  fs::path images_;
  std::vector<TextPlace> names_;              // a sample's `file_name`
  std::vector<std::uint32_t> first_caption_;  // a sample's first one in `captions_`, and one more for the end
  std::vector<TextPlace> captions_;           // a sample's together
};

CocoReader read_annotations(const FileReader& file) {
  std::ifstream stream(file.path(), std::ios::binary);
  std::uint64_t position = 0;
  CocoReader reader(file.path().string(), position);
  Json::sax_parse(CountingIterator(stream.rdbuf(), &position), CountingIterator(), &reader);
  if (!reader.has_images || !reader.has_annotations) {
    throw input_error("{}: has no list '{}', expected a COCO captions file such as captions_train2017.json",
                      file.path().string(), reader.has_images ? "annotations" : "images");
  }
  return reader;
}

CocoCaptions::CocoCaptions(const fs::path& annotations, fs::path images)
    : file_(annotations), images_(std::move(images)) {
  const CocoReader read = read_annotations(file_);
  const std::string name = annotations.string();

  std::unordered_map<std::int64_t, std::size_t> row_of_id;
  for (std::size_t row = 0; row < read.images.size(); ++row) {
    if (!row_of_id.emplace(*read.images[row].id, row).second) {
      throw input_error("{}: images[{}]: the id {} is there twice", name, row, *read.images[row].id);
    }
  }
  std::vector<std::vector<TextPlace>> captions(read.images.size());
  for (std::size_t i = 0; i < read.annotations.size(); ++i) {
    const auto row = row_of_id.find(*read.annotations[i].id);
    if (row == row_of_id.end()) {
      throw input_error("{}: annotations[{}]: no image has the id {}", name, i, *read.annotations[i].id);
    }
    captions[row->second].push_back(*read.annotations[i].text);
  }
  for (std::size_t row = 0; row < captions.size(); ++row) {
    if (captions[row].empty()) continue;
    names_.push_back(*read.images[row].text);
    first_caption_.push_back(static_cast<std::uint32_t>(captions_.size()));
    captions_.insert(captions_.end(), captions[row].begin(), captions[row].end());
  }
  first_caption_.push_back(static_cast<std::uint32_t>(captions_.size()));
  if (names_.empty()) throw input_error("{}: holds no image with a caption", name);
  names_.shrink_to_fit();
  captions_.shrink_to_fit();
}

}  // namespace

std::unique_ptr<CaptionDataset> open_coco_captions(const fs::path& annotations, const fs::path& images) {
  return std::make_unique<CocoCaptions>(annotations, images);
}

}  // namespace sdsclip
