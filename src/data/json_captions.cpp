#include <algorithm>
#include <array>
#include <utility>

#include "indexed_captions.h"
#include "json_scanner.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/text.h"
#include "sdsclip/data/captions.h"
#include "sdsclip/data/limits.h"

namespace sdsclip {
namespace {

using Keys = std::vector<std::string>;

bool holds(const Keys& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Reads records of an image and its captions, from a list or one per line.
class RecordReader {
 public:
  RecordReader(const FileReader& file, const RecordKeys& keys, BadRecords& bad, TextIndex& index)
      : name_(file.path().string()),
        scanner_(file),
        image_keys_(keys.image.empty() ? Keys{"image", "file_name"} : Keys{keys.image}),
        caption_keys_(keys.caption.empty() ? Keys{"caption", "text"} : Keys{keys.caption}),
        split_(keys.split),
        bad_(bad),
        index_(index) {}

  void read_list() {
    if (scanner_.peek() == '{') {
      throw input_error(
          "{}: starts with an object, expected a list of records; read COCO's captions with "
          "data.format=coco, Karpathy's splits with karpathy, a record per line with jsonl",
          name_);
    }
    scanner_.array([this] { read_record(fmt::format("{}: record {}", name_, number_++), [] {}); });
    scanner_.end();
  }

  void read_lines() {
    scanner_.read_lines();
    while (scanner_.at_record()) {
      if (scanner_.peek() == '[') {
        throw input_error("{}:{}: got a list, expected an object per line; read a list with data.format=json",
                          name_, scanner_.line());
      }
      const std::string where = fmt::format("{}:{}", name_, scanner_.line());
      std::optional<std::string> problem;
      try {
        read_record(where, [this] { scanner_.end_line(); });
      } catch (const Error& error) {
        if (bad_.fails()) throw;
        problem = error.what();
      }
      if (!problem) continue;
      bad_.leave_out(*problem);
      scanner_.pass_line();
    }
  }

 private:
  /// `end` is called after the record.
  void read_record(const std::string& where, const std::function<void()>& end) {
    captions_.clear();
    is_whole_ = true;
    std::optional<TextPlace> image;
    std::optional<std::string> split;
    std::string image_problem = fmt::format("has no '{}'", join(image_keys_, "' or '"));
    caption_problem_ = fmt::format("has no '{}'", join(caption_keys_, "' or '"));
    const bool is_object = scanner_.record([&](const std::string& key) {
      if (!image && holds(image_keys_, key)) {
        image = scanner_.text(image_problem);
        if (!image) image_problem = fmt::format("'{}' {}", key, image_problem);
      } else if (captions_.empty() && holds(caption_keys_, key)) {
        read_captions(key);
      } else if (!split_.empty() && key == "split") {
        split = scanner_.short_text();
      } else {
        return false;
      }
      return true;
    });
    end();
    if (!is_object) {
      return bad_.leave_out(fmt::format("{}: is not an object, expected an image and its caption", where));
    }
    if (!split_.empty() && (!split || !holds(split_, *split))) return;
    const bool has_all = image && !captions_.empty();
    if (has_all) index_.add(std::nullopt, *image, captions_);
    if (has_all && is_whole_) return;
    bad_.leave_out(fmt::format("{}: {}, expected an image's name and its caption", where,
                               image ? caption_problem_ : image_problem));
  }

  void read_captions(const std::string& key) {
    const auto read_one = [&] {
      std::string problem;
      const std::optional<TextPlace> caption = scanner_.text(problem);
      if (caption && captions_.size() < kMostCaptionsPerImage) {
        captions_.push_back(*caption);
        return;
      }
      if (caption) problem = fmt::format("has more than {} captions", kMostCaptionsPerImage);
      is_whole_ = false;
      caption_problem_ = fmt::format("'{}' {}", key, problem);
    };
    if (scanner_.peek() == '[') {
      scanner_.array(read_one);
    } else {
      read_one();
    }
  }

  std::string name_;
  JsonScanner scanner_;
  Keys image_keys_;
  Keys caption_keys_;
  Keys split_;
  BadRecords& bad_;
  TextIndex& index_;
  std::vector<TextPlace> captions_;  // of the current record
  std::string caption_problem_;      // of the current record
  bool is_whole_ = true;             // whether every caption of the current record is kept
  std::size_t number_ = 0;
};

/// Karpathy's file: `{"images": [{"filepath", "filename", "split", "sentences": [{"raw"}]}]}`.
class KarpathyReader {
 public:
  KarpathyReader(const FileReader& file, const Keys& split, BadRecords& bad, TextIndex& index)
      : name_(file.path().string()),
        scanner_(file),
        split_(split.empty() ? Keys{"train", "restval"} : split),
        bad_(bad),
        index_(index) {}

  void read() {
    bool has_images = false;
    bool has_annotations = false;
    if (scanner_.peek() == '{') {
      scanner_.record([&](const std::string& key) {
        has_annotations |= key == "annotations";
        if (key != "images" || scanner_.peek() != '[') return false;
        has_images = true;
        scanner_.array([this] { read_image(fmt::format("{}: images[{}]", name_, number_++)); });
        return true;
      });
      scanner_.end();
    }
    if (!has_images || has_annotations) {
      throw input_error("{}: {}, expected Karpathy's splits such as dataset_coco.json; {}", name_,
                        has_annotations ? "has a list 'annotations'" : "has no list 'images'",
                        has_annotations ? "read COCO's captions with data.format=coco"
                                        : "read a list of records with data.format=json");
    }
    if (index_.names.empty() && kept_ == 0 && number_ > 0) {
      throw input_error("{}: none of {} images is of the split '{}'", name_, number_, join(split_, "' or '"));
    }
  }

 private:
  void read_image(const std::string& where) {
    std::optional<TextPlace> folder;
    std::optional<TextPlace> name;
    std::optional<std::string> split;
    std::string folder_problem;
    std::string name_problem = "is missing";
    sentence_problems_.clear();
    sentences_.clear();
    const bool is_object = scanner_.record([&](const std::string& key) {
      if (key == "filepath") return folder = scanner_.text(folder_problem), true;
      if (key == "filename") return name = scanner_.text(name_problem), true;
      if (key == "split") return split = scanner_.short_text(), true;
      if (key == "file_name") {
        throw input_error(
            "{}: names images by 'file_name', expected Karpathy's 'filename'; set data.format=coco", name_);
      }
      if (key != "sentences" || scanner_.peek() != '[') return false;
      scanner_.array([this] { read_sentence(); });
      return true;
    });
    if (!is_object) return bad_.leave_out(where + ": is not an object");
    if (!split) return bad_.leave_out(where + ": has no text 'split'");
    if (!holds(split_, *split)) return;
    ++kept_;
    for (const std::string& problem : sentence_problems_) bad_.leave_out(where + problem);
    if (!name) return bad_.leave_out(fmt::format("{}: 'filename' {}, expected a text", where, name_problem));
    if (sentences_.empty()) return bad_.leave_out(where + ": has no sentence, expected texts 'raw'");
    index_.add(folder, *name, sentences_);
  }

  void read_sentence() {
    std::optional<TextPlace> raw;
    std::string problem = "is missing";
    scanner_.record([&](const std::string& key) {
      if (key == "raw") return raw = scanner_.text(problem), true;
      return false;
    });
    if (raw && sentences_.size() < kMostCaptionsPerImage) {
      sentences_.push_back(*raw);
    } else if (sentence_problems_.size() < 100) {
      sentence_problems_.push_back(fmt::format(", sentence {}: 'raw' {}, expected a text",
                                               sentences_.size() + sentence_problems_.size(), problem));
    }
  }

  std::string name_;
  JsonScanner scanner_;
  Keys split_;
  BadRecords& bad_;
  TextIndex& index_;
  std::vector<TextPlace> sentences_;  // of the current image
  Keys sentence_problems_;            // of the current image
  std::size_t number_ = 0;
  std::size_t kept_ = 0;
};

}  // namespace

std::unique_ptr<CaptionDataset> open_json_captions(const fs::path& annotations, const fs::path& images,
                                                   bool lines, const RecordKeys& keys,
                                                   const BadRecordRule& rule) {
  return open_indexed_captions(annotations, images, rule,
                               [&](const FileReader& file, BadRecords& bad, TextIndex& index) {
                                 RecordReader reader(file, keys, bad, index);
                                 lines ? reader.read_lines() : reader.read_list();
                                 return index.names.size();
                               });
}

std::unique_ptr<CaptionDataset> open_karpathy_captions(const fs::path& annotations, const fs::path& images,
                                                       const std::vector<std::string>& split,
                                                       const BadRecordRule& rule) {
  return open_indexed_captions(annotations, images, rule,
                               [&](const FileReader& file, BadRecords& bad, TextIndex& index) {
                                 KarpathyReader(file, split, bad, index).read();
                                 return index.captions.size();
                               });
}

}  // namespace sdsclip
