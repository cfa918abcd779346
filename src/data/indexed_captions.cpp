#include "indexed_captions.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "sdsclip/base/error.h"
#include "sdsclip/base/json.h"
#include "sdsclip/data/image.h"

namespace sdsclip {
namespace {

class IndexedCaptions : public CaptionDataset {
 public:
  IndexedCaptions(FileReader file, fs::path images, TextIndex index)
      : file_(std::move(file)), images_(std::move(images)), index_(std::move(index)) {}

  [[nodiscard]] std::int64_t size() const override { return static_cast<std::int64_t>(index_.names.size()); }

  [[nodiscard]] CaptionRecord record(std::int64_t index) const override {
    const std::size_t row = static_cast<std::size_t>(index);
    CaptionRecord record;
    record.image_name = image_name(row);
    const std::size_t end =
        row + 1 < index_.first_caption.size() ? index_.first_caption[row + 1] : index_.captions.size();
    for (std::size_t i = index_.first_caption[row]; i < end; ++i) {
      record.captions.push_back(read_text(index_.captions[i]));
    }
    return record;
  }

  [[nodiscard]] std::string image_bytes(std::int64_t index) const override {
    return read_image_bytes(images_ / image_name(static_cast<std::size_t>(index)));
  }

  [[nodiscard]] fs::path images_folder() const override { return images_; }

  [[nodiscard]] std::size_t index_bytes() const override {
    const std::size_t places = index_.folders.size() + index_.names.size() + index_.captions.size();
    return places * sizeof(TextPlace) + index_.first_caption.size() * sizeof(std::uint32_t);
  }

 private:
  [[nodiscard]] std::string image_name(std::size_t row) const {
    const std::string name = read_text(index_.names.at(row));
    if (index_.folders.empty() || index_.folders[row].size() == 0) return name;
    const std::string folder = read_text(index_.folders[row]);
    return folder.empty() ? name : folder + "/" + name;
  }

  [[nodiscard]] std::string read_text(const TextPlace& place) const {
    const std::optional<std::string> text = json_text(file_.read(place.offset(), place.size()));
    if (!text) {
      throw input_error("{}: holds no text at byte {} any more; it was changed during the run",
                        file_.path().string(), place.offset());
    }
    return *text;
  }

  FileReader file_;
  fs::path images_;
  TextIndex index_;
};

}  // namespace

void TextIndex::add(std::optional<TextPlace> folder, TextPlace name,
                    std::span<const TextPlace> sample_captions) {
  if (captions.size() + sample_captions.size() > std::numeric_limits<std::uint32_t>::max()) {
    throw input_error("got more than 2^32 captions, expected fewer; split the file");
  }
  if (folder && folders.empty()) folders.resize(names.size());
  if (folder || !folders.empty()) folders.push_back(folder.value_or(TextPlace()));
  names.push_back(name);
  first_caption.push_back(static_cast<std::uint32_t>(captions.size()));
  captions.insert(captions.end(), sample_captions.begin(), sample_captions.end());
}

std::unique_ptr<CaptionDataset> open_indexed_captions(
    const fs::path& annotations, const fs::path& images, const BadRecordRule& rule,
    const std::function<std::size_t(const FileReader&, BadRecords&, TextIndex&)>& read) {
  FileReader file(annotations);
  BadRecords bad(annotations.string(), rule);
  TextIndex index;
  const std::size_t good = read(file, bad, index);
  if (good > 0) bad.finish(static_cast<std::int64_t>(good));
  if (index.names.empty()) {
    const std::string reason = bad.first_error();
    throw input_error("{}: holds no image with a caption{}", annotations.string(),
                      reason.empty() ? "" : "; the first bad record: " + reason);
  }
  for (std::vector<TextPlace>* places : {&index.folders, &index.names, &index.captions})
    places->shrink_to_fit();
  index.first_caption.shrink_to_fit();
  return std::make_unique<IndexedCaptions>(std::move(file), images, std::move(index));
}

}  // namespace sdsclip
