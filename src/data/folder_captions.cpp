#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <system_error>
#include <tuple>
#include <utility>

#include "image_endings.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/file_reader.h"
#include "sdsclip/base/text.h"
#include "sdsclip/data/captions.h"
#include "sdsclip/data/image.h"
#include "sdsclip/data/limits.h"

namespace sdsclip {
namespace {

struct NamedFile {
  std::string stem;    // path below the folder, without the ending
  std::string ending;  // with its dot, as written
};

/// Folders visited so far. A link may lead to a folder above it, or to the same folder twice.
class WalkedFolders {
 public:
  bool is_new(const fs::path& folder) {
    struct stat status {};
    return ::stat(folder.c_str(), &status) == 0 && walked_.emplace(status.st_dev, status.st_ino).second;
  }

 private:
  std::set<std::pair<dev_t, ino_t>> walked_;
};

/// Lists images and texts below a folder at any depth, without hidden files and folders; visits a folder
/// once.
std::pair<std::vector<NamedFile>, std::vector<NamedFile>> list_files(const fs::path& folder) {
  std::vector<NamedFile> images;
  std::vector<NamedFile> texts;
  WalkedFolders walked;
  walked.is_new(folder);
  std::error_code failure;
  fs::recursive_directory_iterator entry(folder, fs::directory_options::follow_directory_symlink, failure);
  for (; !failure && entry != fs::recursive_directory_iterator(); entry.increment(failure)) {
    const fs::path& path = entry->path();
    std::error_code ignored;
    const bool is_folder = entry->is_directory(ignored);
    const bool is_hidden = path.filename().string().starts_with('.');
    if (is_folder && (is_hidden || !walked.is_new(path))) entry.disable_recursion_pending();
    if (is_folder || is_hidden) continue;
    const std::string ending = path.extension().string();
    const std::string kind = ending.empty() ? "" : lower_case(std::string_view(ending).substr(1));
    std::vector<NamedFile>* const list = kind == "txt" ? &texts : is_image_ending(kind) ? &images : nullptr;
    if (list == nullptr) continue;
    const std::string name = path.lexically_relative(folder).generic_string();
    list->push_back({name.substr(0, name.size() - ending.size()), ending});
  }
  if (failure) throw input_error("{}: cannot read the folder: {}", folder.string(), failure.message());
  return {std::move(images), std::move(texts)};
}

bool is_before(const NamedFile& a, const NamedFile& b) {
  return std::tie(a.stem, a.ending) < std::tie(b.stem, b.ending);
}

class FolderCaptions : public CaptionDataset {
 public:
  FolderCaptions(fs::path folder, CaptionsPerFile captions_per_file)
      : folder_(std::move(folder)), captions_per_file_(captions_per_file) {
    auto [images, texts] = list_files(folder_);
    std::sort(images.begin(), images.end(), is_before);
    std::sort(texts.begin(), texts.end(), is_before);
    auto text = texts.begin();
    for (const NamedFile& image : images) {
      while (text != texts.end() && text->stem < image.stem) ++text;
      if (text == texts.end() || text->stem != image.stem) continue;
      starts_.push_back(names_.size());
      names_ += image.stem + '\0' + image.ending + '\0' + text->ending + '\0';
    }
    if (starts_.empty()) {
      throw input_error("{}: holds no sample among {} images and {} texts, expected NAME.jpg beside NAME.txt",
                        folder_.string(), images.size(), texts.size());
    }
    starts_.shrink_to_fit();
    names_.shrink_to_fit();
  }

  [[nodiscard]] std::int64_t size() const override { return static_cast<std::int64_t>(starts_.size()); }

  [[nodiscard]] CaptionRecord record(std::int64_t index) const override {
    const std::string text = part(index, 0) + part(index, 2);
    const FileReader file(folder_ / text);
    const std::size_t size = std::min<std::uint64_t>(file.size(), kMostCaptionBytes + 1);
    return {image_name(index),
            captions_in_text(file.read(0, size), captions_per_file_, file.path().string()),
            {}};
  }

  [[nodiscard]] std::string image_bytes(std::int64_t index) const override {
    return read_image_bytes(folder_ / image_name(index));
  }

  [[nodiscard]] fs::path images_folder() const override { return folder_; }

  [[nodiscard]] std::size_t index_bytes() const override {
    return starts_.size() * sizeof(std::uint64_t) + names_.size();
  }

 private:
  [[nodiscard]] std::string image_name(std::int64_t index) const { return part(index, 0) + part(index, 1); }

  /// 0: the common part of the names; 1: the image's ending; 2: the text's.
  [[nodiscard]] std::string part(std::int64_t index, int number) const {
    std::size_t start = starts_.at(static_cast<std::size_t>(index));
    for (int i = 0; i < number; ++i) start = names_.find('\0', start) + 1;
    return names_.substr(start, names_.find('\0', start) - start);
  }

  fs::path folder_;
  CaptionsPerFile captions_per_file_;
  std::string names_;  // of all samples; a zero byte ends each part
  std::vector<std::uint64_t> starts_;
};

}  // namespace

std::unique_ptr<CaptionDataset> open_folder_captions(const fs::path& folder,
                                                     CaptionsPerFile captions_per_file) {
  return std::make_unique<FolderCaptions>(folder, captions_per_file);
}

}  // namespace sdsclip
