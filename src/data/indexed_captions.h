#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "bad_records.h"
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

/// Opens a data set: `read` fills its index and returns the number of good records. Throws `Error(kInput)` if the
/// index is empty or too many records are bad.
std::unique_ptr<CaptionDataset> open_indexed_captions(
    const fs::path& annotations, const fs::path& images, const BadRecordRule& rule,
    const std::function<std::size_t(const FileReader& file, BadRecords& bad, TextIndex& index)>& read);

}  // namespace sdsclip
