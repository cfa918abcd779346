#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sdsclip/base/options.h"
#include "sdsclip/data/captions.h"
#include "sdsclip/data/pixel_store.h"
#include "sdsclip/data/preprocess.h"
#include "sdsclip/data/tokenizer.h"

namespace sdsclip {

/// The section `data` of a configuration.
struct DataOptions : CaptionSource {
  std::int64_t workers = 2;  ///< threads that decode ahead of the step
  ConvertOrder convert = ConvertOrder::kFirst;  ///< when an image of another mode becomes RGB
  bool confine = false;                         ///< an image outside `images` is a bad sample
};
void visit_options(OptionVisitor& visitor, DataOptions& options);

/// How a data set becomes batches.
struct LoaderOptions {
  std::int64_t batch_size = 32;                    ///< samples a batch, of this process
  std::int64_t workers = 2;                        ///< threads that decode ahead; 1 or more
  std::int64_t batches_ahead = 2;                  ///< how far ahead they may be
  std::uint64_t seed = 0;                          ///< of the order and of the choice of captions
  std::int64_t process = 0;                        ///< this process's number
  std::int64_t processes = 1;                      ///< how many share each epoch
  OnBadSample on_bad_sample = OnBadSample::kSkip;  ///< see above
  double max_bad = 0.01;         ///< more bad samples in an epoch, as a share of this process's
                                 ///< samples, are an error
  std::string confine_to = {};   ///< folder that images must lie in; empty: anywhere
  PreprocessOptions preprocess;  ///< of the images; `mean` and `std` are not used here
  std::optional<PreprocessOptions>
      teacher_preprocess;  ///< also give each image as a second model wants it; nothing: do not
};

/// Where in the data a run stands: kept in a checkpoint, and enough to go on with the very next batch.
struct LoaderPosition {
  std::int64_t epoch = 0;
  std::int64_t step = 0;         ///< batches of this epoch that were taken
  std::int64_t cursor = 0;       ///< positions of this epoch's order that were used up, the bad ones included
  std::int64_t bad_samples = 0;  ///< of them, in this epoch
  bool operator==(const LoaderPosition&) const = default;
};

/// One step's data. Images stay bytes, which `normalize_pixels` turns into floats a micro-batch at a time.
struct Batch {
  std::vector<std::int64_t> samples;           ///< [B] numbers in the data set
  PixelStore pixels;                           ///< B images
  PixelStore teacher_pixels;                   ///< likewise by `teacher_preprocess`; empty without it
  std::vector<std::int64_t> token_ids;         ///< [B, context_length] of `captions`
  std::vector<std::string> captions;           ///< [B] the caption that this epoch chose
  std::vector<std::string> negative_captions;  ///< [B], or empty where the data set has none; a sample
                                               ///< without any has an empty text
  std::vector<std::string> image_names;        ///< [B]
  LoaderPosition next;                         ///< where the batch after this one starts
};

/// What a loader has done since it was made.
struct LoaderStatistics {
  double wait_seconds = 0;                ///< that `next` waited for workers
  std::int64_t bad_samples = 0;           ///< replaced ones, all epochs
  std::vector<std::string> first_errors;  ///< of the first few of them
};

/// Batches in an order that is a function of the seed alone: the same bits whatever the number of workers,
/// and whether or not the run was interrupted. An epoch has floor(samples / batch size) batches; a bad sample
/// is replaced by the next one of the epoch's order, which starts again at its beginning where it runs out.
class CaptionLoader {
 public:
  /// `dataset` and `tokenizer` must outlive the loader. Throws `Error(kUsage)` where the data set has fewer
  /// samples than a batch.
  CaptionLoader(const CaptionDataset& dataset, const Tokenizer& tokenizer, const LoaderOptions& options,
                const LoaderPosition& start = {});
  ~CaptionLoader();
  CaptionLoader(const CaptionLoader&) = delete;
  CaptionLoader& operator=(const CaptionLoader&) = delete;

  /// The next batch, without end: after the last one of an epoch comes the first of the next. Throws what a
  /// worker met: `Error(kInput)` that names the file of a bad sample (`kFail`), or says that there are too
  /// many.
  Batch next();

  [[nodiscard]] std::int64_t batches_per_epoch() const;
  [[nodiscard]] LoaderStatistics statistics() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace sdsclip
