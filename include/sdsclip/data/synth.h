#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sdsclip {

/// The embedded world: scenes of coloured shapes, drawn, captioned and written in every benchmark's own
/// format, so that the whole product runs where no data set can be downloaded.
struct SynthOptions {
  std::filesystem::path out;       ///< created; must be empty or absent
  std::uint64_t seed = 0;          ///< other seeds draw other scenes of the same splits
  std::int64_t train = 8000;       ///< images of coco/train2017, five captions each
  std::int64_t validation = 1000;  ///< images of coco/val2017, and of retrieval/ (test)
  std::int64_t winoground = 400;   ///< cases of winoground/ (test) and of val/winoground/
  std::int64_t cases = 500;        ///< cases of each part of aro/; twice the pairs of a task of clevr/
  std::int64_t zeroshot = 800;     ///< images of zeroshot/, spread over the 40 classes
};

/// One data set as it was written.
struct SynthPart {
  std::string name;  ///< folder below `out`
  std::int64_t images = 0;
  std::int64_t cases = 0;  ///< captions, cases or pairs
};

/// Writes the world below `options.out`:
/// `coco/` (training and validation), `winoground/`, `aro/`, `clevr/`, `zeroshot/`, `retrieval/` (test), and
/// the same tests under `val/` for choosing settings. Train, validation and test differ in their combinations
/// of attributes: two-object scenes by ({two colours}, {two shapes}), single objects by colour, shape, size,
/// background each coloured shape. The same options give the same pixels and texts. Throws `Error(kInput)`
/// where the folder is not empty.
std::vector<SynthPart> write_shapes_world(const SynthOptions& options);

}  // namespace sdsclip
