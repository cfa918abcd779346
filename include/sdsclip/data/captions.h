#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sdsclip/base/filesystem.h"

namespace sdsclip {

/// One image of a caption data set with its texts.
struct CaptionRecord {
  std::string image_name;             ///< the data set's name for it: a path, or `shard.tar:member`
  std::vector<std::string> captions;  ///< at least one
  std::vector<std::string>
      negative_captions;  ///< wrong captions of this image (NegCLIP's `neg_caption`); usually empty
};

/// A data set of images with captions. Memory holds only an index of at most 64 bytes per sample
/// (`index_bytes`); texts and images are read when needed. Several threads may use it at once.
class CaptionDataset {
 public:
  virtual ~CaptionDataset() = default;

  [[nodiscard]] virtual std::int64_t size() const = 0;

  /// Reads sample `index`, 0 to `size() - 1`. Throws `Error(kInput)` that names file and record if the sample
  /// is malformed.
  [[nodiscard]] virtual CaptionRecord record(std::int64_t index) const = 0;

  /// The encoded image of sample `index`. Throws `Error(kInput)` that names the file if it is missing.
  [[nodiscard]] virtual std::string image_bytes(std::int64_t index) const = 0;

  /// The folder that image names start from, for error messages; empty if the names contain it.
  [[nodiscard]] virtual fs::path images_folder() const { return {}; }

  /// The memory that the index of the whole data set takes, in bytes.
  [[nodiscard]] virtual std::size_t index_bytes() const = 0;
};

enum class CaptionFormat { kCoco, kTsv, kWebDataset, kKarpathy, kJson, kJsonLines, kFolder };

enum class Separator { kDetect, kTab, kComma, kSemicolon, kPipe };

/// How many captions the text file beside an image holds.
enum class CaptionsPerFile {
  kOne,   ///< the whole file is one caption
  kLines  ///< one caption per line
};

/// What happens to a sample whose image or text cannot be used.
enum class OnBadSample {
  kSkip,  ///< a bad record is left out; a bad image is replaced by the next sample of the epoch's order
  kFail   ///< the run ends with the sample's error
};

/// How bad records are treated when a data set is opened.
struct BadRecordRule {
  OnBadSample on_bad_sample = OnBadSample::kFail;
  double max_bad = 1;  ///< largest share of bad records (`kBadRecordsAllowed` are always allowed)
};

/// Where a caption data set is and how it is read.
struct CaptionSource {
  CaptionFormat format = CaptionFormat::kCoco;
  std::string annotations;     ///< file of captions; WebDataset: the shards; folder: unused
  std::string images;          ///< folder that relative image names start from; WebDataset: unused
  std::string image_column;    ///< column of a table or key of a JSON record; empty: the format's default
  std::string caption_column;  ///< likewise
  Separator separator = Separator::kDetect;                   ///< between a table's columns
  std::vector<std::string> split;                             ///< splits to read; empty: the format's default
  CaptionsPerFile captions_per_file = CaptionsPerFile::kOne;  ///< for WebDataset and folder
  OnBadSample on_bad_sample = OnBadSample::kSkip;             ///< for an unreadable image, record or shard
  double max_bad = 0.01;                                      ///< largest share of bad samples

  [[nodiscard]] BadRecordRule bad_records() const { return {on_bad_sample, max_bad}; }
};

/// Opens a data set and builds its index. Throws `Error(kInput)` that names the file if it cannot be read or
/// holds no sample, and that names the record if too many are bad. Throws `Error(kUsage)` if `source` sets an
/// option that its format does not use.
std::unique_ptr<CaptionDataset> open_captions(const CaptionSource& source);

/// MS-COCO captions (`captions_train2017.json`): one sample per image that has captions, in the order of
/// `images`. The file holds `images: [{id, file_name}]` and `annotations: [{image_id, caption}]`; ids are
/// whole numbers or texts. Other fields are skipped.
std::unique_ptr<CaptionDataset> open_coco_captions(const fs::path& annotations, const fs::path& images,
                                                   const BadRecordRule& rule = {});

/// Karpathy's splits (`dataset_coco.json`, `dataset_flickr8k.json`, `dataset_flickr30k.json`): one sample per
/// image of the splits in `split` (empty: `train` and `restval`). Its name is `filepath/filename`, or
/// `filename` if there is no `filepath`.
std::unique_ptr<CaptionDataset> open_karpathy_captions(const fs::path& annotations, const fs::path& images,
                                                       const std::vector<std::string>& split = {},
                                                       const BadRecordRule& rule = {});

/// The keys of a JSON record, or the columns of a table, that hold image and caption.
struct RecordKeys {
  std::string image;               ///< empty: `image` or `file_name`; in a table `filepath`
  std::string caption;             ///< empty: `caption` or `text`; in a table `title`
  std::vector<std::string> split;  ///< keep the records whose `split` is one of these; empty: all records
};

/// BLIP's JSON: a list of `{"image": NAME, "caption": TEXT or [TEXT, ...]}`, one sample per record. With
/// `lines`, the same records as JSON Lines (also the Hugging Face hub's `metadata.jsonl`, `{"file_name":
/// NAME, "text": TEXT}`).
std::unique_ptr<CaptionDataset> open_json_captions(const fs::path& annotations, const fs::path& images,
                                                   bool lines, const RecordKeys& keys = {},
                                                   const BadRecordRule& rule = {});

/// How a table is read.
struct TableOptions {
  Separator separator = Separator::kDetect;  ///< kDetect: the one that gives the header both columns
  RecordKeys columns;
  BadRecordRule rule;
};

/// A table with the columns of open_clip's `CsvDataset` (`filepath`, `title`) and optionally NegCLIP's
/// `neg_caption` (a text, or a Python list of texts). `CsvReader` has the rules. Each row is one sample; a
/// row with another number of columns is a bad sample. A caption that is a complete Python list of texts
/// gives several captions. Flickr's token files (`NAME.jpg#0<TAB>CAPTION`, no header) are recognized by their
/// first line.
std::unique_ptr<CaptionDataset> open_table_captions(const fs::path& table, const fs::path& images,
                                                    const TableOptions& options = {});

/// WebDataset shards: uncompressed tars in which `key.jpg` (or .jpeg, .png, .webp) and `key.txt` form a
/// sample. `shards` may hold brace ranges and lists (`{00000..00331}`, `{a,b}`) and several data sets joined
/// by `::`. Samples without image or text are left out; an empty text is kept. A damaged shard is a bad
/// record; its samples before the damage are used.
std::unique_ptr<CaptionDataset> open_webdataset_captions(
    const std::string& shards, CaptionsPerFile captions_per_file = CaptionsPerFile::kOne,
    const BadRecordRule& rule = {});

/// A folder with pairs of `NAME.jpg` (or another image ending) and `NAME.txt` at any depth, sorted by name.
/// Images without a text are left out.
std::unique_ptr<CaptionDataset> open_folder_captions(
    const fs::path& folder, CaptionsPerFile captions_per_file = CaptionsPerFile::kOne);

/// The captions in the text file beside an image. `where` names the file in errors. Throws `Error(kInput)` if
/// the text exceeds `kMostCaptionBytes`, or if lines are wanted and none holds a caption.
std::vector<std::string> captions_in_text(const std::string& text, CaptionsPerFile captions_per_file,
                                          const std::string& where);

/// The paths that a shard pattern names: `a{08..10}.tar::b.tar` gives a08.tar, a09.tar, a10.tar, b.tar.
/// Throws `Error(kUsage)` if a brace is not closed or a range counts down, and, before expanding anything, if
/// the pattern exceeds the limits of `data/limits.h`.
std::vector<std::string> expand_shards(const std::string& shards);

}  // namespace sdsclip
