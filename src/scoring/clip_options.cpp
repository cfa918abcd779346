#include "sdsclip/scoring/clip_options.h"

#include "sdsclip/base/work_ahead.h"

namespace sdsclip {

void visit_options(OptionVisitor& visitor, ClipScoreOptions& options) {
  visitor.count("image_batch", options.image_batch, {1, kMostBatch},
                "Images at once through CLIP. Raise it on a GPU; lower it if memory runs out.");
  visitor.count("text_batch", options.text_batch, {1, kMostBatch}, "Texts at once through CLIP.");
  visitor.count("workers", options.workers, {0, kMostThreads}, kWorkersText);
  visitor.choice("convert", options.convert, kConvertNames, kConvertText);
  visitor.option(
      "cache", options.cache,
      "Folder that keeps embeddings, by model and image, for other runs to reuse; empty: none. Set it to "
      "score one model on several benchmarks with the same images.");
  visitor.option("quiet", options.quiet, "Show no progress bar.");
}

}  // namespace sdsclip
