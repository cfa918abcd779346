#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "sdsclip/base/error.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/text.h"
#include "text_lines.h"
#include "zeroshot_layouts.h"

namespace sdsclip {
namespace {

// torchvision's IMG_EXTENSIONS.
constexpr std::array<std::string_view, 9> kImageExtensions = {".jpg", ".jpeg", ".png",  ".ppm", ".bmp",
                                                              ".pgm", ".tif",  ".tiff", ".webp"};

std::string with_underscores(std::string name) {
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

// ImageNet's folders do not have the classes' names; `folders.txt` lists them, one class per line.
std::vector<std::string> class_folders(const fs::path& data, const std::vector<std::string>& class_names) {
  const fs::path list = data / "folders.txt";
  std::vector<std::string> folders;
  if (fs::exists(list)) {
    for (const TextLine& line : read_text_lines(list)) {
      if (line.text.empty()) {
        throw input_error("{}: line {}: got an empty line, expected the folder of class '{}'", list.string(),
                          line.number,
                          folders.size() < class_names.size() ? class_names[folders.size()] : "");
      }
      folders.push_back(line.text);
    }
    if (folders.size() != class_names.size()) {
      throw input_error("{}: got {} folders, expected {}, one for each line of classnames.txt", list.string(),
                        folders.size(), class_names.size());
    }
    return folders;
  }
  for (const std::string& name : class_names) {
    if (name.empty()) {
      throw input_error(
          "{}: line {}: got an empty class name, which has no folder; name it, or list the folders in {}",
          (data / "classnames.txt").string(), folders.size() + 1, list.string());
    }
    folders.push_back(fs::is_directory(data / name) ? name : with_underscores(name));
  }
  return folders;
}

/// `traffic light` and `traffic_light`, for example, have one folder, whose images cannot be of both classes.
void refuse_shared_folders(const fs::path& data, const std::vector<std::string>& class_names,
                           const std::vector<std::string>& folders) {
  std::map<std::string, std::size_t> label_of;
  for (std::size_t label = 0; label < folders.size(); ++label) {
    const auto [earlier, is_new] = label_of.emplace(folders[label], label);
    if (is_new) continue;
    throw input_error(
        "{}: line {} ('{}') and line {} ('{}') have the same folder '{}', expected one per class; list the "
        "classes' folders in {}, one per line",
        (data / "classnames.txt").string(), earlier->second + 1, class_names[earlier->second], label + 1,
        class_names[label], folders[label], (data / "folders.txt").string());
  }
}

bool is_image_name(const fs::path& name) {
  const std::string extension = lower_case(name.extension().string());
  return std::find(kImageExtensions.begin(), kImageExtensions.end(), extension) != kImageExtensions.end();
}

/// Whether archives or file managers leave such files behind: `.DS_Store`, `__MACOSX`.
bool is_left_behind(const std::string& name) {
  return name.starts_with('.') || name == "__MACOSX";
}

/// The files in the class folders.
struct ClassFiles {
  std::map<std::string, std::vector<std::string>> images;  // of one class: file names, by the folder below it
  std::string passed_over;                                 // the first file that is not an image
  std::int64_t passed_over_count = 0;
};

/// Walks a class folder like `os.walk(followlinks=True)`; `below` is the part to walk, "" for all.
void collect_files(const fs::path& class_folder, const std::string& below, ClassFiles& files) {
  constexpr std::ptrdiff_t kDeepest = 32;
  const fs::path folder = class_folder / below;
  if (std::count(below.begin(), below.end(), '/') > kDeepest) {
    throw input_error("{}: folders are nested more than {} deep; is there a link to a folder above?",
                      folder.string(), kDeepest);
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const std::string path = below.empty() ? name : below + "/" + name;
    if (is_left_behind(name)) continue;
    if (entry.is_directory()) {
      collect_files(class_folder, path, files);
    } else if (is_image_name(name)) {
      files.images[below].push_back(path);
    } else {
      if (files.passed_over_count++ == 0) files.passed_over = entry.path().string();
    }
  }
}

/// The images of a class folder in torchvision's order: by folder, then by name.
std::vector<std::string> images_in(const fs::path& folder, ClassFiles& files) {
  files.images.clear();
  collect_files(folder, "", files);
  std::vector<std::string> names;
  for (auto& [below, images] : files.images) {
    std::sort(images.begin(), images.end());
    names.insert(names.end(), images.begin(), images.end());
  }
  return names;
}

void refuse_unknown_folders(const fs::path& data, const std::vector<std::string>& folders) {
  const std::set<std::string> known(folders.begin(), folders.end());
  for (const fs::directory_entry& entry : fs::directory_iterator(data)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() && !is_left_behind(name) && !known.contains(name)) {
      throw input_error("{}: this folder is not a class of {}; move it away or add the class",
                        entry.path().string(), (data / "classnames.txt").string());
    }
  }
}

}  // namespace

void load_image_folder(CaseTableBuilder& builder, const fs::path& data,
                       const std::vector<std::string>& class_names) {
  const std::vector<std::string> folders = class_folders(data, class_names);
  refuse_shared_folders(data, class_names, folders);
  refuse_unknown_folders(data, folders);
  ClassFiles files;
  for (std::size_t label = 0; label < folders.size(); ++label) {
    const fs::path folder = data / folders[label];
    if (!fs::is_directory(folder)) {
      throw input_error("{}: no such folder, expected one for class '{}'", folder.string(),
                        class_names[label]);
    }
    for (const std::string& name : images_in(folder, files)) {
      if (builder.part_is_full()) return;
      add_labelled_image(builder, {.id = folders[label] + "/" + name, .file = folder / name},
                         static_cast<std::int32_t>(label), folder.string());
    }
  }
  if (files.passed_over_count > 0) {
    log_warning("{}: skips {} files without an image ending, such as {}", data.string(),
                files.passed_over_count, files.passed_over);
  }
}

}  // namespace sdsclip
