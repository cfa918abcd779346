#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sdsclip {

/// A rectangle in pixels of the undecorated image file: left, top, width, height (ARO crops to it).
struct Box {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
  bool operator==(const Box&) const = default;
};

/// Where an image's bytes lie when many images share one file (a tar shard, a CIFAR batch).
struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;  ///< bytes; 0: the whole file
};

/// The shape of pixels that are stored without an image format: bytes, channel after channel, row after row
/// (CIFAR, MNIST). Grey (one channel) is repeated to RGB.
struct RawPixels {
  int width = 0;
  int height = 0;
  int channels = 3;
};

/// A row of the table of unique images. `read_benchmark_image` (images.h) turns it into pixels.
struct BenchmarkImage {
  std::string id;  ///< unique and stable: the path below the data folder, with `#x,y,w,h` for a crop
                   ///< and `:name` for one image of a file that holds many
  std::filesystem::path file;    ///< where to read it
  std::optional<Box> crop;       ///< cut out after conversion to RGB and before preprocessing
  ByteRange range;               ///< the part of `file` that is this image
  std::optional<RawPixels> raw;  ///< set where the bytes are bare pixels and not an encoded image
  std::shared_ptr<const std::string> unpacked =
      {};  ///< what `file` holds, where it is compressed (MNIST's .gz)
};

/// A row of the table of unique captions. More than one text is an ensemble (zero-shot: one a template): CLIP
/// scorers average the unit embeddings of its texts and normalise again, diffusion scorers average the texts'
/// scores.
struct BenchmarkCaption {
  std::string id;                  ///< unique: the caption itself; for an ensemble the class name
  std::vector<std::string> texts;  ///< at least one
};

/// One question: which caption belongs to which image. Both lists index the tables of `CaseTable`.
struct Case {
  std::string id;
  std::vector<std::int32_t> images;
  std::vector<std::int32_t>
      captions;  ///< empty: every caption of the table, in its order (zero-shot, retrieval)
  std::vector<std::int32_t>
      positives;  ///< columns that are right, where the benchmark does not fix them by position
  std::vector<std::string> tags;  ///< what the judge groups by, such as `tag/Relation` or `preds/2`
};

struct CaseTable {
  std::vector<BenchmarkImage> images;
  std::vector<BenchmarkCaption> captions;
  std::vector<Case> cases;
  std::int64_t skipped_missing =
      0;  ///< cases left out because an image is missing (`LoadOptions::skip_missing`)
  std::vector<std::filesystem::path> missing_files;  ///< the images that they miss, each once

  /// How many captions `cases[index]` asks for.
  [[nodiscard]] std::int64_t caption_count(std::size_t index) const;
  /// The caption row behind column `column` of `cases[index]`.
  [[nodiscard]] std::int32_t caption_at(std::size_t index, std::int64_t column) const;
};

/// Scores of every case, higher is better: `S[image, caption]`, row major, case after case. Infinite and NaN
/// scores never get here: scorers refuse them.
class CaseScores {
 public:
  explicit CaseScores(const CaseTable& table);
  [[nodiscard]] double at(std::size_t case_index, std::int64_t image_row, std::int64_t caption_column) const;
  void set(std::size_t case_index, std::int64_t image_row, std::int64_t caption_column, double score);
  /// The scores of one image of a case with all the case's captions.
  [[nodiscard]] std::span<const double> row(std::size_t case_index, std::int64_t image_row) const;
  [[nodiscard]] std::span<double> row(std::size_t case_index, std::int64_t image_row);

 private:
  [[nodiscard]] std::size_t row_start(std::size_t case_index, std::int64_t image_row) const;

  std::vector<std::size_t> offsets_;  // of each case in `values_`
  std::vector<std::size_t> columns_;  // captions of each case
  std::vector<double> values_;
};

/// One metric before it is averaged: a mark for each case that it speaks of.
struct MetricMarks {
  std::string name;                      ///< `winoground/text`, `winoground/tag/Relation/text`, ...
  std::vector<std::int32_t> case_index;  ///< which case each mark belongs to: the bootstrap's unit
  std::vector<double> mark;              ///< 0 or 1, or a fraction
  std::vector<std::int32_t>
      group;              ///< empty: plain mean; else the mean of these groups' means (macro average)
  std::int64_t ties = 0;  ///< cases that a tie decided
  std::map<std::int32_t, std::string> group_names{};  ///< for messages; not stored
};

struct LoadOptions {
  std::filesystem::path data;  ///< the benchmark's data folder, in its authors' layout
  std::int64_t limit = 0;  ///< keep the first so many cases of each part (ARO's tasks, CLEVR's, ...); 0: all
  bool skip_missing = false;  ///< leave cases with a missing image out, counted, instead of an error
  bool confine =
      false;  ///< an image outside `data` is an error: an absolute path, `..`, or a link that leads out
};

/// How many cases the published data set has; `data check` states it beside the count of a local copy.
struct ExpectedCount {
  std::string_view tag;  ///< counts the cases that carry this tag; empty: all cases
  std::int64_t cases = 0;
};

/// A benchmark: a loader and a judge over the score matrix. One file each; registered in `registry.cpp`.
struct Benchmark {
  std::string_view name;     ///< as on the command line
  std::string_view summary;  ///< one line for `--help`
  /// Reads the case table. Throws `Error(kInput)` naming file and record on anything malformed or missing.
  CaseTable (*load)(const LoadOptions& options);
  /// Marks in the order in which they are to be shown; metrics without a case are left out.
  std::vector<MetricMarks> (*judge)(const CaseTable& table, const CaseScores& scores);
  /// The metrics that the summary table shows, in order.
  std::span<const std::string_view> headline;
  /// The published data set's counts; empty where there is no one published data set (zero-shot).
  std::span<const ExpectedCount> expected;
  /// Of a benchmark with several data sets: names of which each one's folder holds one at least. Else empty.
  std::span<const std::string_view> markers = {};
};

/// The data sets of a benchmark at `folder`: the folder itself, or, where a benchmark of several has none of
/// its markers there, the sub-folders that have one (`zeroshot/cifar10`, `zeroshot/mnist`), by name. Never
/// empty: loading a folder that is none says what is missing.
std::vector<std::filesystem::path> data_sets(const Benchmark& benchmark, const std::filesystem::path& folder);

/// Every benchmark, in the order of `eval all`.
std::span<const Benchmark> all_benchmarks();

/// Throws `Error(kUsage)` that names the nearest known benchmark.
const Benchmark& find_benchmark(std::string_view name);

}  // namespace sdsclip
