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

/// The configuration section `data`.
struct DataOptions : CaptionSource {
  std::int64_t workers = 2;
  ConvertOrder convert = ConvertOrder::kFirst;
  bool confine = false;
};
void visit_options(OptionVisitor& visitor, DataOptions& options);

/// How a data set is divided into batches.
struct LoaderOptions {
  std::int64_t batch_size = 32;                    ///< samples per batch of this process
  std::int64_t workers = 2;                        ///< threads that decode ahead; 1 or more
  std::int64_t batches_ahead = 2;                  ///< batches that the threads may be ahead
  std::uint64_t seed = 0;                          ///< seed of the order and of the choice of captions
  std::int64_t process = 0;                        ///< this process's number, from 0
  std::int64_t processes = 1;                      ///< processes that share each epoch
  OnBadSample on_bad_sample = OnBadSample::kSkip;  ///< what happens to an unreadable image
  double max_bad = 0.01;         ///< a larger share of bad samples in this process's epoch is an error
  std::string confine_to = {};   ///< folder that images must be in; empty: anywhere
  PreprocessOptions preprocess;  ///< for the images; `mean` and `std` are not used here
  std::optional<PreprocessOptions>
      teacher_preprocess;  ///< if set, each image is also preprocessed for a second model
};

/// A run's position in the data. A checkpoint stores it, and a resumed run continues with the next batch.
struct LoaderPosition {
  std::int64_t epoch = 0;
  std::int64_t step = 0;         ///< batches taken in this epoch
  std::int64_t cursor = 0;       ///< positions of this epoch's order that are used up, with the bad samples
  std::int64_t bad_samples = 0;  ///< bad samples in this epoch
  bool operator==(const LoaderPosition&) const = default;
};

/// One step's data. Images stay uint8; `normalize_pixels` turns one micro-batch at a time into floats.
struct Batch {
  std::vector<std::int64_t> samples;    ///< [B] indices into the data set
  PixelStore pixels;                    ///< B images
  PixelStore teacher_pixels;            ///< B images by `teacher_preprocess`; empty without it
  std::vector<std::int64_t> token_ids;  ///< [B, context_length] of `captions`
  std::vector<std::string> captions;    ///< [B] the captions chosen for this epoch
  std::vector<std::string>
      negative_captions;                 ///< [B], "" for a sample without one; empty if no sample has any
  std::vector<std::string> image_names;  ///< [B]
  LoaderPosition next;                   ///< position of the batch after this one
};

/// A loader's counters since it was made.
struct LoaderStatistics {
  double wait_seconds = 0;                ///< time that `next` waited for workers, in seconds
  std::int64_t bad_samples = 0;           ///< samples replaced, over all epochs
  std::vector<std::string> first_errors;  ///< errors of the first few bad samples
};

/// Makes batches in an order that depends on the seed alone: the bits are the same with any number of workers
/// and after an interruption. An epoch has floor(samples / batch size) batches. A bad sample is replaced by
/// the next one of the epoch's order, which starts again from its beginning when it is used up.
class CaptionLoader {
 public:
  /// `dataset` and `tokenizer` must outlive the loader. Throws `Error(kUsage)` if the data set has fewer
  /// samples than one batch.
  CaptionLoader(const CaptionDataset& dataset, const Tokenizer& tokenizer, const LoaderOptions& options,
                const LoaderPosition& start = {});
  ~CaptionLoader();
  CaptionLoader(const CaptionLoader&) = delete;
  CaptionLoader& operator=(const CaptionLoader&) = delete;

  /// The next batch. Batches never end: after an epoch's last batch comes the next epoch's first. Throws the
  /// error of a worker: `Error(kInput)` that names a bad sample's file (`kFail`) or says that too many are
  /// bad.
  Batch next();

  [[nodiscard]] std::int64_t batches_per_epoch() const;
  [[nodiscard]] LoaderStatistics statistics() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace sdsclip
