#pragma once

#include <algorithm>

#include "fuzz.h"
#include "sdsclip/data/captions.h"

namespace sdsclip::fuzz {

/// Opens a data set and reads its first samples.
inline void read_captions(CaptionFormat format, const std::string& annotations) {
  CaptionSource source;
  source.format = format;
  source.annotations = annotations;
  source.images = (folder() / "images").string();
  const std::unique_ptr<CaptionDataset> captions = open_captions(source);
  for (std::int64_t i = 0; i < std::min<std::int64_t>(captions->size(), 8); ++i) {
    try {
      static_cast<void>(captions->record(i));
      static_cast<void>(captions->image_bytes(i));
    } catch (const Error&) {
    }
  }
}

}  // namespace sdsclip::fuzz
