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

enum class CaptionFormat { kCoco, kTsv, kWebDataset };

/// Where a caption data set lies.
struct CaptionSource {
  CaptionFormat format = CaptionFormat::kCoco;  ///< how it is stored
  std::string annotations;                      ///< COCO: the captions JSON; TSV or CSV: the table;
                                                ///< WebDataset: the shards, such as `cc3m/{00000..00331}.tar`
  std::filesystem::path images;  ///< folder that relative image names start from; WebDataset: unused
};

/// Opens a data set and builds its index. Throws `Error(kInput)` that names file and record on anything
/// malformed, and where it holds no sample.
std::unique_ptr<CaptionDataset> open_captions(const CaptionSource& source);

/// MS-COCO captions (`captions_train2017.json`): one sample an image that has captions, in the order of
/// `images`. `images: [{id, file_name}]`, `annotations: [{image_id, caption}]`; other fields are skipped.
std::unique_ptr<CaptionDataset> open_coco_captions(const std::filesystem::path& annotations,
                                                   const std::filesystem::path& images);

/// A table with the columns of open_clip's `CsvDataset`: `filepath`, `title`, and optionally NegCLIP's
/// `neg_caption` (a text, or a Python list of texts). Tab-separated, or by commas where the file's name ends
/// in `.csv`; fields may be quoted as RFC 4180 says. One sample a row.
std::unique_ptr<CaptionDataset> open_table_captions(const std::filesystem::path& table,
                                                    const std::filesystem::path& images);

/// WebDataset shards: uncompressed tars in which `key.jpg` (or .jpeg, .png, .webp) and `key.txt` stand
/// together. `shards` may hold brace ranges and lists (`{00000..00331}`, `{a,b}`) and several data sets
/// joined by `::`. Samples without image or without text are left out.
std::unique_ptr<CaptionDataset> open_webdataset_captions(const std::string& shards);

/// The paths that a shard specification names: `a{08..10}.tar::b.tar` is a08.tar, a09.tar, a10.tar, b.tar.
/// Throws `Error(kUsage)` on a brace that does not close or a range that counts down.
std::vector<std::string> expand_shards(const std::string& shards);

}  // namespace sdsclip
