#pragma once

#include <cstdint>
#include <string>

#include "sdsclip/base/options.h"
#include "sdsclip/data/preprocess.h"

namespace sdsclip {

/// How CLIP scores are computed. The batch sizes are part of the run's identity, because the last bits of a
/// score may depend on them; the other options change no value. A resumed run may have other batch sizes:
/// stored embeddings are kept.
struct ClipScoreOptions {
  std::int64_t image_batch = 64;
  std::int64_t text_batch = 256;
  std::int64_t workers = 0;
  ConvertOrder convert = ConvertOrder::kFirst;
  std::string cache = {};
  bool quiet = false;
};
void visit_options(OptionVisitor& visitor, ClipScoreOptions& options);

}  // namespace sdsclip
