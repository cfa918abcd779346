#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace sdsclip {

/// What a caption data set says of one image.
struct CaptionRecord {
  std::string image_name;             ///< as the data set calls it: a path, or `shard.tar:member`
  std::vector<std::string> captions;  ///< at least one
  std::vector<std::string>
      negative_captions;  ///< wrong captions of this image (NegCLIP's `neg_caption`); mostly none
};

/// Images with captions, read from where they lie. In memory there is only an index, of at most 64 bytes a
/// sample
/// (`index_bytes`); texts and images are read on need. Safe to use from several threads at once.
class CaptionDataset {
 public:
  virtual ~CaptionDataset() = default;

  [[nodiscard]] virtual std::int64_t size() const = 0;

  /// Sample `index`, 0 to `size() - 1`. Throws `Error(kInput)` that names file and record where it is
  /// malformed.
  [[nodiscard]] virtual CaptionRecord record(std::int64_t index) const = 0;

  /// The encoded image of sample `index`. Throws `Error(kInput)` that names the file where it is missing.
  [[nodiscard]] virtual std::string image_bytes(std::int64_t index) const = 0;

  /// Bytes that the index takes in memory, for the whole data set.
  [[nodiscard]] virtual std::size_t index_bytes() const = 0;
};

enum class CaptionFormat { kCoco, kTsv, kWebDataset, kKarpathy, kJson, kJsonLines, kFolder };

enum class Separator { kDetect, kTab, kComma, kSemicolon, kPipe };

/// How many captions a text file beside an image holds.
enum class CaptionsPerFile {
  kOne,   ///< the whole file is one
  kLines  ///< one per line
};

/// What to do with a sample whose image or text cannot be used.
enum class OnBadSample {
  kSkip,  ///< leave a bad record out; the next sample of the epoch's order takes a bad image's place
  kFail   ///< stop with its error
};

/// What becomes of bad records when a data set is opened.
struct BadRecordRule {
  OnBadSample on_bad_sample = OnBadSample::kFail;
  double max_bad = 1;  ///< more of them, as a share, are an error (some are always allowed, `data/limits.h`)
};

/// Where a caption data set lies, and how to read it.
struct CaptionSource {
  CaptionFormat format = CaptionFormat::kCoco;
  std::string annotations;     ///< the file of captions; WebDataset: the shards; folder: unused
  std::string images;          ///< folder that relative image names start from; WebDataset: unused
  std::string image_column;    ///< of a table, or key of a JSON record; empty: the format's own
  std::string caption_column;  ///< likewise
  Separator separator = Separator::kDetect;                     ///< of a table
  std::vector<std::string> split;                             ///< the splits to read; empty: the format's own
  CaptionsPerFile captions_per_file = CaptionsPerFile::kOne;  ///< WebDataset and folder
  OnBadSample on_bad_sample = OnBadSample::kSkip;             ///< unreadable image, bad record or shard
  double max_bad = 0.01;                                      ///< share that may be bad

  [[nodiscard]] BadRecordRule bad_records() const { return {on_bad_sample, max_bad}; }
};

/// Opens a data set and builds its index. Throws `Error(kInput)` that names the file where it cannot be read
/// at all or holds no sample, and that names the record where too many are bad. Throws `Error(kUsage)` where
/// an option of `source` does nothing for its format.
std::unique_ptr<CaptionDataset> open_captions(const CaptionSource& source);

/// MS-COCO captions (`captions_train2017.json`): one sample per image that has captions, in the order of
/// `images`. `images: [{id, file_name}]`, `annotations: [{image_id, caption}]`; other fields are skipped,
/// whatever they hold. Ids are whole numbers or texts.
std::unique_ptr<CaptionDataset> open_coco_captions(const std::filesystem::path& annotations,
                                                   const std::filesystem::path& images,
                                                   const BadRecordRule& rule = {});

/// Karpathy's splits (`dataset_coco.json`, `dataset_flickr8k.json`, `dataset_flickr30k.json`): one sample per
/// image of the splits `split` (empty: `train` and `restval`), named `filepath/filename`, or `filename` where
/// there is no `filepath`.
std::unique_ptr<CaptionDataset> open_karpathy_captions(const std::filesystem::path& annotations,
                                                       const std::filesystem::path& images,
                                                       const std::vector<std::string>& split = {},
                                                       const BadRecordRule& rule = {});

/// Which keys of a JSON record, or columns of a table, hold what.
struct RecordKeys {
  std::string image;               ///< empty: `image` or `file_name`; in a table `filepath`
  std::string caption;             ///< empty: `caption` or `text`; in a table `title`
  std::vector<std::string> split;  ///< keep the records whose `split` is one of these; empty: all records
};

/// BLIP's JSON, a list of `{"image": NAME, "caption": TEXT or [TEXT, ...]}`, or with `lines` the same as JSON
/// Lines (also the hub's `metadata.jsonl`, `{"file_name": NAME, "text": TEXT}`). One sample per record.
std::unique_ptr<CaptionDataset> open_json_captions(const std::filesystem::path& annotations,
                                                   const std::filesystem::path& images, bool lines,
                                                   const RecordKeys& keys = {},
                                                   const BadRecordRule& rule = {});

/// How a table is read.
struct TableOptions {
  Separator separator = Separator::kDetect;  ///< auto: the one that gives the header both columns
  RecordKeys columns;
  BadRecordRule rule;
};

/// A table with the columns of open_clip's `CsvDataset`: `filepath`, `title`, and optionally NegCLIP's
/// `neg_caption` (a text, or a Python list of texts). Read by the rules of `CsvReader`. One sample per row; a
/// row of another number of columns is a bad sample. A caption that is a list of texts in full is several.
/// Flickr's token files (`NAME.jpg#0<TAB>CAPTION`, no header) are told by their first line.
std::unique_ptr<CaptionDataset> open_table_captions(const std::filesystem::path& table,
                                                    const std::filesystem::path& images,
                                                    const TableOptions& options = {});

/// WebDataset shards: uncompressed tars in which `key.jpg` (or .jpeg, .png, .webp) and `key.txt` stand
/// together. `shards` may hold brace ranges and lists (`{00000..00331}`, `{a,b}`) and several data sets
/// joined by `::`. Samples without image or without text are left out; an empty text is kept. A damaged shard
/// is a bad record, and its samples before the damage are used.
std::unique_ptr<CaptionDataset> open_webdataset_captions(
    const std::string& shards, CaptionsPerFile captions_per_file = CaptionsPerFile::kOne,
    const BadRecordRule& rule = {});

/// A folder in which `NAME.jpg` (or another image's ending) and `NAME.txt` stand side by side, at any depth;
/// in the order of the names. Images without a text are left out.
std::unique_ptr<CaptionDataset> open_folder_captions(
    const std::filesystem::path& folder, CaptionsPerFile captions_per_file = CaptionsPerFile::kOne);

/// The captions in a text file beside an image. `where` stands for it in errors. Throws `Error(kInput)`
/// beyond `kMostCaptionBytes`, and where lines are asked for and none holds a caption.
std::vector<std::string> captions_in_text(const std::string& text, CaptionsPerFile captions_per_file,
                                          const std::string& where);

/// The paths that a shard specification names: `a{08..10}.tar::b.tar` is a08.tar, a09.tar, a10.tar, b.tar.
/// Throws `Error(kUsage)` on a brace that does not close or a range that counts down, and, before it expands
/// anything, beyond the limits of `data/limits.h`.
std::vector<std::string> expand_shards(const std::string& shards);

}  // namespace sdsclip
