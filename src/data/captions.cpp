#include "sdsclip/data/captions.h"

namespace sdsclip {

std::unique_ptr<CaptionDataset> open_captions(const CaptionSource& source) {
  switch (source.format) {
    case CaptionFormat::kCoco:
      return open_coco_captions(source.annotations, source.images);
    case CaptionFormat::kTsv:
      return open_table_captions(source.annotations, source.images);
    case CaptionFormat::kWebDataset:
      break;
  }
  return open_webdataset_captions(source.annotations);
}

}  // namespace sdsclip
