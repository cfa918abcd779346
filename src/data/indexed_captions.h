#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sdsclip/base/file_reader.h"
#include "sdsclip/data/captions.h"
#include "text_place.h"

namespace sdsclip {

/// The places of each sample's texts in one JSON file. With COCO's five captions per image it takes about 52
/// bytes per image; the texts would take 300.
struct TextIndex {
  std::vector<TextPlace> folders;            ///< of the image names; empty, or one per sample
  std::vector<TextPlace> names;              ///< of the images
  std::vector<std::uint32_t> first_caption;  ///< index in `captions` of a sample's first caption
  std::vector<TextPlace> captions;           ///< grouped by sample

  /// `sample_captions` must not be empty.
  void add(std::optional<TextPlace> folder, TextPlace name, std::span<const TextPlace> sample_captions);
};

/// The data set of an index. Throws `Error(kInput)` if it is empty; `reason` is the first bad record's error,
/// or empty.
std::unique_ptr<CaptionDataset> make_indexed_captions(FileReader file, std::filesystem::path images,
                                                      TextIndex index, const std::string& reason);

}  // namespace sdsclip
