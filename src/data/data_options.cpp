#include <array>

#include "sdsclip/data/loader.h"

namespace sdsclip {
namespace {

constexpr std::array<std::string_view, 7> kFormatNames = {"coco", "tsv",   "webdataset", "karpathy",
                                                          "json", "jsonl", "folder"};
constexpr std::array<std::string_view, 5> kSeparatorNames = {"auto", "tab", "comma", "semicolon", "pipe"};
constexpr std::array<std::string_view, 2> kCaptionsPerFileNames = {"one", "lines"};
constexpr std::array<std::string_view, 2> kOnBadSampleNames = {"skip", "fail"};

}  // namespace

void visit_options(OptionVisitor& visitor, DataOptions& options) {
  visitor.choice("format", options.format, kFormatNames,
                 "Format of the data set. coco: COCO's JSON. tsv: a table, TSV or CSV. webdataset: tar "
                 "shards. karpathy: Karpathy's JSON. json: a JSON list of records, as BLIP's. jsonl: JSON "
                 "Lines. folder: NAME.jpg beside NAME.txt.");
  visitor.option(
      "annotations", options.annotations,
      "File with the captions; webdataset: the shards, such as cc3m/{00000..00331}.tar; folder: not read.");
  visitor.option("images", options.images,
                 "Folder that relative image names start from; webdataset: not read.");
  visitor.option("image_column", options.image_column,
                 "Column of a table, or key of a JSON record, with the image's name; empty: filepath in a "
                 "table, image or file_name in JSON.");
  visitor.option("caption_column", options.caption_column,
                 "Column of a table, or key of a JSON record, with the caption; empty: title in a table, "
                 "caption or text in JSON.");
  visitor.choice(
      "separator", options.separator, kSeparatorNames,
      "Separator of a table's columns; auto: found from the header line, whatever the file's ending.");
  visitor.option("split", options.split,
                 "Splits to read, by the column or key `split`; empty: train and restval of Karpathy's JSON, "
                 "all of other formats.");
  visitor.choice("captions_per_file", options.captions_per_file, kCaptionsPerFileNames,
                 "Captions in a .txt of WebDataset shards and folders: one, or lines for one per line (the "
                 "retrieval shards of CLIP_benchmark).");
  visitor.option("workers", options.workers,
                 "Number of threads that decode images. Raise it if the log's wait_share is high.");
  visitor.choice("on_bad_sample", options.on_bad_sample, kOnBadSampleNames,
                 "skip: leave out a bad record and the rest of a damaged shard, and replace a bad image by "
                 "the epoch's next sample. fail: stop with the error.");
  visitor.option("max_bad", options.max_bad,
                 "Largest fraction of bad samples per epoch, and of bad records when the data set is opened "
                 "(where ten are always allowed). Above it the run stops.");
  visitor.choice("convert", options.convert, kConvertNames, kConvertText);
  visitor.option("confine", options.confine,
                 "Whether an image outside data.images counts as bad: an absolute path, '..', a link that "
                 "leads out. Set it for data from an untrusted source.");
}

}  // namespace sdsclip
