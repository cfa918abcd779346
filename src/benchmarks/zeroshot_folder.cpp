#include <algorithm>
#include <array>
#include <set>
#include <system_error>

#include "sdsclip/base/error.h"
#include "text_lines.h"
#include "zeroshot_layouts.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> kImageExtensions = {".png", ".jpg", ".jpeg", ".webp"};

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  });
  return text;
}

std::string with_underscores(std::string name) {
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

// ImageNet's folders are not called after the classes: `folders.txt` names them, a line a class.
std::vector<std::string> class_folders(const fs::path& data, const std::vector<std::string>& class_names) {
  const fs::path list = data / "folders.txt";
  std::vector<std::string> folders;
  if (fs::exists(list)) {
    for (const TextLine& line : read_text_lines(list)) folders.push_back(line.text);
    if (folders.size() != class_names.size()) {
      throw input_error("{}: got {} folders, expected {}, one for each line of classnames.txt", list.string(),
                        folders.size(), class_names.size());
    }
    return folders;
  }
  for (const std::string& name : class_names) {
    folders.push_back(fs::is_directory(data / name) ? name : with_underscores(name));
  }
  return folders;
}

std::vector<std::string> images_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.')) continue;
    const std::string extension = lower_case(entry.path().extension().string());
    if (std::find(kImageExtensions.begin(), kImageExtensions.end(), extension) == kImageExtensions.end()) {
      throw input_error("{}: expected only .png, .jpg, .jpeg and .webp files in a class folder",
                        entry.path().string());
    }
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

void refuse_unknown_folders(const fs::path& data, const std::vector<std::string>& folders) {
  const std::set<std::string> known(folders.begin(), folders.end());
  for (const fs::directory_entry& entry : fs::directory_iterator(data)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() && !name.starts_with('.') && !known.contains(name)) {
      throw input_error("{}: a folder that is no class of {}", entry.path().string(),
                        (data / "classnames.txt").string());
    }
  }
}

}  // namespace

void load_image_folder(CaseTableBuilder& builder, const fs::path& data,
                       const std::vector<std::string>& class_names) {
  const std::vector<std::string> folders = class_folders(data, class_names);
  refuse_unknown_folders(data, folders);
  for (std::size_t label = 0; label < folders.size(); ++label) {
    const fs::path folder = data / folders[label];
    if (!fs::is_directory(folder)) {
      throw input_error("{}: no such folder, expected one for class '{}'", folder.string(),
                        class_names[label]);
    }
    for (const std::string& name : images_in(folder)) {
      if (builder.part_is_full()) return;
      add_labelled_image(builder,
                         {.id = folders[label] + "/" + name,
                          .file = folder / name,
                          .crop = std::nullopt,
                          .range = {},
                          .raw = std::nullopt},
                         static_cast<std::int32_t>(label), folder.string());
    }
  }
}

}  // namespace sdsclip
