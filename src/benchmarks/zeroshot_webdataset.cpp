#include <algorithm>
#include <array>
#include <map>

#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/text.h"
#include "tar_index.h"
#include "text_lines.h"
#include "zeroshot_layouts.h"

namespace sdsclip {
namespace {

constexpr std::array<std::string_view, 4> kImageExtensions = {"webp", "png", "jpg", "jpeg"};

struct Sample {
  std::optional<TarEntry> image;
  std::optional<TarEntry> label;
};

bool is_image(std::string_view extension) {
  return std::find(kImageExtensions.begin(), kImageExtensions.end(), extension) != kImageExtensions.end();
}

// WebDataset's rule: a sample's key is the path up to the first dot of its file name.
std::map<std::string, Sample> samples_of(const fs::path& shard) {
  std::map<std::string, Sample> samples;
  for (const TarEntry& entry : index_tar(shard)) {
    const std::size_t name_start = entry.name.rfind('/') + 1;
    const std::size_t dot = entry.name.find('.', name_start);
    if (dot == std::string::npos || dot == name_start) continue;
    const std::string key = entry.name.substr(0, dot);
    const std::string extension = lower_case(entry.name.substr(dot + 1));  // as in webdataset
    Sample& sample = samples[key];
    std::optional<TarEntry>* slot = nullptr;
    if (is_image(extension)) slot = &sample.image;
    if (extension == "cls") slot = &sample.label;
    if (extension == "npy") {
      throw input_error("{}: {}: multi-label sets are not supported, expected .cls files with one label each",
                        shard.string(), entry.name);
    }
    if (slot == nullptr) continue;
    if (*slot) throw input_error("{}: {}: sample '{}' has two such files", shard.string(), entry.name, key);
    *slot = entry;
  }
  return samples;
}

std::int32_t label_of(const fs::path& shard, const std::string& key, const TarEntry& entry,
                      std::size_t classes) {
  const std::string where = fmt::format("{}: sample '{}'", shard.string(), key);
  const std::int32_t label = parse_count(read_range(shard, entry.range), where);
  if (static_cast<std::size_t>(label) >= classes) {
    throw input_error("{}: got label {}, expected one below {}, the number of classnames.txt's lines", where,
                      label, classes);
  }
  return label;
}

}  // namespace

bool is_webdataset(const fs::path& data) {
  return fs::exists(data / "test" / "nshards.txt");
}

void load_webdataset(CaseTableBuilder& builder, const fs::path& data, std::size_t classes) {
  const fs::path count_file = data / "test" / "nshards.txt";
  const std::int32_t shards = parse_count(read_file(count_file), count_file.string());
  for (std::int32_t number = 0; number < shards; ++number) {
    const std::string name = fmt::format("test/{}.tar", number);
    const fs::path shard = data / name;
    for (const auto& [key, sample] : samples_of(shard)) {
      if (builder.part_is_full()) return;
      if (!sample.image || !sample.label) {
        throw input_error("{}: sample '{}' has no {}", shard.string(), key,
                          sample.image ? "label (.cls)" : "image");
      }
      const std::int32_t label = label_of(shard, key, *sample.label, classes);
      add_labelled_image(builder,
                         {.id = name + ":" + sample.image->name, .file = shard, .range = sample.image->range},
                         label, shard.string());
    }
  }
}

}  // namespace sdsclip
