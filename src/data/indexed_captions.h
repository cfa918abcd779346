#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "file_reader.h"
#include "sdsclip/data/captions.h"
#include "text_place.h"

namespace sdsclip {

/// Where the texts of each sample lie in one JSON file: at COCO's five captions an image that is some 52
/// bytes an image, where the texts themselves would be 300.
struct TextIndex {
  std::vector<TextPlace> folders;            ///< of the image names; empty, or one per sample
  std::vector<TextPlace> names;              ///< of the images
  std::vector<std::uint32_t> first_caption;  ///< a sample's first one in `captions`
  std::vector<TextPlace> captions;           ///< a sample's stand together

  /// `captions` may not be empty.
  void add(std::optional<TextPlace> folder, TextPlace name, std::span<const TextPlace> sample_captions);
};

/// The data set that an index describes. Throws `Error(kInput)` where it is empty; `reason` then is the first
/// bad record's error, or empty.
std::unique_ptr<CaptionDataset> make_indexed_captions(FileReader file, std::filesystem::path images,
                                                      TextIndex index, const std::string& reason);

}  // namespace sdsclip
