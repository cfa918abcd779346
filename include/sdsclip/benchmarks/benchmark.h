#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sdsclip/base/filesystem.h"

namespace sdsclip {

/// A rectangle of the original image file in pixels: left, top, width, height (ARO crops to it).
struct Box {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
  bool operator==(const Box&) const = default;
};

/// The place of one image in a file that holds many (a tar shard, a CIFAR batch).
struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;  ///< bytes; 0: the whole file
};

/// The shape of bare pixels, stored without an image format (CIFAR, MNIST): bytes, channel by channel, row by
/// row. One grey channel is repeated to RGB.
struct RawPixels {
  int width = 0;
  int height = 0;
  int channels = 3;
};

/// An entry of the table of unique images. `read_benchmark_image` (images.h) turns it into pixels.
struct BenchmarkImage {
  std::string id;  ///< unique and stable: the path below the data folder, with `#x,y,w,h` for a crop
                   ///< and `:name` for one image of a file that holds many
  fs::path file;   ///< the file that holds the image
  std::optional<Box> crop = {};       ///< cut out after conversion to RGB and before preprocessing
  ByteRange range = {};               ///< the part of `file` that is this image
  std::optional<RawPixels> raw = {};  ///< set if the bytes are bare pixels instead of an encoded image
  std::shared_ptr<const std::string> unpacked = {};  ///< content of `file` if it is compressed (MNIST's .gz)
};

/// An entry of the table of unique captions. Several texts form an ensemble (zero-shot: one text per
/// template). CLIP scorers average the unit embeddings of the texts and normalise again; diffusion scorers
/// average the texts' scores.
struct BenchmarkCaption {
  std::string id;                       ///< unique: the caption itself; for an ensemble the class name
  std::vector<std::string> texts = {};  ///< at least one
};

/// One question: which caption belongs to which image? Both lists index the tables of `CaseTable`.
struct Case {
  std::string id;
  std::vector<std::int32_t> images = {};
  std::vector<std::int32_t> captions = {};   ///< empty: every caption of the table, in its order
  std::vector<std::int32_t> positives = {};  ///< correct columns, if their place does not tell
  std::vector<std::string> tags = {};        ///< groups that the judge reports: `tag/Relation`
};

struct CaseTable {
  std::vector<BenchmarkImage> images;
  std::vector<BenchmarkCaption> captions;
  std::vector<Case> cases;
  std::int64_t skipped_missing =
      0;  ///< cases left out because an image is missing (`LoadOptions::skip_missing`)
  std::vector<fs::path> missing_files;  ///< the missing images, each once

  /// The number of captions of `cases[index]`.
  [[nodiscard]] std::int64_t caption_count(std::size_t index) const;
  /// The row of the caption table for column `column` of `cases[index]`.
  [[nodiscard]] std::int32_t caption_at(std::size_t index, std::int64_t column) const;
};

/// The number of (case, image, caption) scores of all cases, by which "time per match" divides.
std::int64_t match_count(const CaseTable& table);

/// Scores of all cases, higher is better: `S[image, caption]`, row major, case by case. All are finite,
/// because scorers refuse other scores.
class CaseScores {
 public:
  explicit CaseScores(const CaseTable& table);
  [[nodiscard]] double at(std::size_t case_index, std::int64_t image_row, std::int64_t caption_column) const;
  void set(std::size_t case_index, std::int64_t image_row, std::int64_t caption_column, double score);
  /// The scores of one image of a case with all captions of the case.
  [[nodiscard]] std::span<const double> row(std::size_t case_index, std::int64_t image_row) const;
  [[nodiscard]] std::span<double> row(std::size_t case_index, std::int64_t image_row);

 private:
  [[nodiscard]] std::size_t row_start(std::size_t case_index, std::int64_t image_row) const;

  std::vector<std::size_t> offsets_;  // where each case starts in `values_`
  std::vector<std::size_t> columns_;  // number of captions per case
  std::vector<double> values_;
};

/// One metric before it is averaged: one mark per case that it applies to.
struct MetricMarks {
  std::string name;                           ///< `winoground/text`, `winoground/tag/Relation/text`, ...
  std::vector<std::int32_t> case_index = {};  ///< the case of each mark; the bootstrap draws cases
  std::vector<double> mark = {};              ///< 0 or 1, or a fraction
  std::vector<std::int32_t> group = {};       ///< empty: plain mean; else the mean of the groups' means
  std::int64_t ties = 0;                      ///< number of cases that a tie decided
  std::map<std::int32_t, std::string> group_names{};  ///< for messages; not stored
};

struct LoadOptions {
  fs::path data;           ///< the benchmark's data folder, in its authors' layout
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

/// A benchmark: a loader and a judge of the score matrix. Each has its own file and a line in `registry.cpp`.
struct Benchmark {
  std::string_view name;     ///< its name on the command line
  std::string_view summary;  ///< one line for `--help`
  /// Reads the case table. Throws `Error(kInput)` that names file and record if anything is malformed or
  /// missing.
  CaseTable (*load)(const LoadOptions& options);
  /// Computes the marks in display order. Metrics without a case are left out.
  std::vector<MetricMarks> (*judge)(const CaseTable& table, const CaseScores& scores);
  /// The metrics of the summary table, in order.
  std::vector<std::string> headline;
  /// The published data set's counts; empty if there is no single published data set (zero-shot).
  std::span<const ExpectedCount> expected;
  /// For a benchmark of several data sets: file names of which every data set's folder holds at least one.
  /// Otherwise empty.
  std::span<const std::string_view> markers = {};
};

/// The data sets of a benchmark at `folder`. This is the folder itself, unless the benchmark has several data
/// sets and none of its markers is there: then the sub-folders with a marker (`zeroshot/cifar10`,
/// `zeroshot/mnist`), sorted by name. The result is never empty, so that loading a wrong folder reports what
/// is missing.
std::vector<fs::path> data_sets(const Benchmark& benchmark, const fs::path& folder);

/// The folder in which a benchmark's data folder is looked up: SDSCLIP_DATA, by default `data`.
fs::path default_data_folder();

/// Every benchmark, in the order of `eval all`.
std::span<const Benchmark> all_benchmarks();

/// Finds a benchmark by name. Throws `Error(kUsage)` that names the nearest known one if there is none.
const Benchmark& find_benchmark(std::string_view name);

}  // namespace sdsclip
