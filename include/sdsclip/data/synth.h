#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sdsclip/base/filesystem.h"

namespace sdsclip {

/// Options of the shapes world: scenes of coloured shapes with captions, in every benchmark's own format. The
/// whole program can run on it where no data set can be downloaded.
struct SynthOptions {
  fs::path out;                    ///< created; must be empty or absent
  std::uint64_t seed = 0;          ///< another seed draws other scenes of the same splits
  std::int64_t train = 8000;       ///< images of coco/train2017, five captions each
  std::int64_t validation = 1000;  ///< images of coco/val2017, and of retrieval/ (test)
  std::int64_t winoground = 400;   ///< cases of winoground/ (test) and of val/winoground/
  std::int64_t cases = 500;        ///< cases per part of aro/; twice the pairs per task of clevr/
  std::int64_t zeroshot = 800;     ///< images of zeroshot/, spread over the 40 classes
};

/// One data set of the shapes world, as written.
struct SynthPart {
  std::string name;  ///< folder below `out`
  std::int64_t images = 0;
  std::int64_t cases = 0;  ///< captions, cases or pairs
};

/// Writes the shapes world below `options.out`: `coco/` (training and validation), `winoground/`, `aro/`,
/// `clevr/`, `zeroshot/`, `retrieval/` (test), and the same tests under `val/` for choosing settings.
///
/// Train, validation and test share no combination of attributes. For two-object scenes a combination is
/// ({two colours}, {two shapes}); for single objects it is size, background and place of each coloured shape.
/// The same options give the same pixels and texts. Throws `Error(kInput)` if the folder is not empty.
std::vector<SynthPart> write_shapes_world(const SynthOptions& options);

}  // namespace sdsclip
