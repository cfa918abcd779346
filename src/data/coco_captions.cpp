#include <unordered_map>
#include <utility>

#include "indexed_captions.h"
#include "json_scanner.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/text.h"
#include "sdsclip/data/captions.h"
#include "sdsclip/data/limits.h"

namespace sdsclip {
namespace {

/// An image and the place of its captions in the list of all captions.
struct ListedImage {
  std::string id;  // as the file writes it
  TextPlace name;
  std::vector<TextPlace> captions;
};

struct Annotation {
  std::size_t number = 0;  // position in the file's list
  std::string image_id;
  TextPlace caption;
};

/// Reads a captions file in one pass. The lists may come in any order, so annotations are joined at the end.
class CocoReader {
 public:
  CocoReader(const FileReader& file, BadRecords& bad)
      : name_(file.path().string()), scanner_(file), bad_(bad) {}

  void read() {
    bool has_images = false;
    bool has_annotations = false;
    const bool is_object = scanner_.record([&](const std::string& key) {
      if (scanner_.peek() != '[') return false;
      if (key == "images") return has_images = true, read_images(), true;
      if (key == "annotations") return has_annotations = true, read_annotations(), true;
      return false;
    });
    if (is_object) scanner_.end();
    if (has_images && has_annotations) return;
    throw input_error(
        "{}: has no list '{}', expected a COCO captions file such as captions_train2017.json; {}", name_,
        has_images ? "annotations" : "images",
        has_images ? "read Karpathy's splits with data.format=karpathy"
                   : "read a list of records with data.format=json");
  }

  /// Returns the images that have captions, in the file's order.
  std::vector<ListedImage> join() {
    for (const Annotation& annotation : annotations_) {
      const auto row = row_of_id_.find(annotation.image_id);
      if (row == row_of_id_.end()) {
        bad_.leave_out(fmt::format("{}: annotations[{}]: no image has the id {} of its 'image_id'", name_,
                                   annotation.number, shortened(annotation.image_id, 60)));
      } else if (images_[row->second].captions.size() == kMostCaptionsPerImage) {
        bad_.leave_out(fmt::format("{}: annotations[{}]: its image has more than {} captions", name_,
                                   annotation.number, kMostCaptionsPerImage));
      } else {
        images_[row->second].captions.push_back(annotation.caption);
      }
    }
    return std::move(images_);
  }

 private:
  void read_images() {
    std::size_t number = 0;
    scanner_.array([&] {
      std::optional<std::string> id;
      std::optional<TextPlace> name;
      std::string problem = "is missing";
      scanner_.record([&](const std::string& key) {
        if (key == "id") return id = scanner_.identifier(), true;
        if (key == "file_name") return name = scanner_.text(problem), true;
        if (key == "sentences") throw is_karpathys();
        return false;
      });
      const std::string where = fmt::format("{}: images[{}]", name_, number++);
      if (!id || !name) {
        bad_.leave_out(fmt::format("{}: {}, expected a whole number or text 'id' and a text 'file_name'",
                                   where, id ? "'file_name' " + problem : "has no usable 'id'"));
      } else if (!row_of_id_.emplace(*id, images_.size()).second) {
        bad_.leave_out(fmt::format("{}: the id {} appears twice", where, shortened(*id, 60)));
      } else {
        images_.push_back({std::move(*id), *name, {}});
      }
    });
  }

  void read_annotations() {
    std::size_t number = 0;
    scanner_.array([&] {
      std::optional<std::string> image_id;
      std::optional<TextPlace> caption;
      std::string problem = "is missing";
      scanner_.record([&](const std::string& key) {
        if (key == "image_id") return image_id = scanner_.identifier(), true;
        if (key == "caption") return caption = scanner_.text(problem), true;
        return false;
      });
      if (image_id && caption) {
        annotations_.push_back({number, std::move(*image_id), *caption});
      } else {
        bad_.leave_out(fmt::format("{}: annotations[{}]: {}, expected an 'image_id' and a text 'caption'",
                                   name_, number,
                                   image_id ? "'caption' " + problem : "has no usable 'image_id'"));
      }
      ++number;
    });
  }

  [[nodiscard]] Error is_karpathys() const {
    return input_error(
        "{}: has sentences in its images, expected a COCO captions file; set data.format=karpathy", name_);
  }

  std::string name_;
  JsonScanner scanner_;
  BadRecords& bad_;
  std::vector<ListedImage> images_;
  std::vector<Annotation> annotations_;
  std::unordered_map<std::string, std::size_t> row_of_id_;
};

}  // namespace

std::unique_ptr<CaptionDataset> open_coco_captions(const fs::path& annotations, const fs::path& images,
                                                   const BadRecordRule& rule) {
  return open_indexed_captions(annotations, images, rule,
                               [](const FileReader& file, BadRecords& bad, TextIndex& index) {
                                 CocoReader reader(file, bad);
                                 reader.read();
                                 for (const ListedImage& image : reader.join()) {
                                   if (!image.captions.empty())
                                     index.add(std::nullopt, image.name, image.captions);
                                 }
                                 return index.captions.size();
                               });
}

}  // namespace sdsclip
