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
  visitor.choice(
      "format", options.format, kFormatNames,
      "how the data set is stored: COCO's JSON; a table (TSV or CSV); WebDataset shards; Karpathy's "
      "JSON; a JSON list of records (BLIP's); JSON Lines; a folder of NAME.jpg and NAME.txt");
  visitor.option(
      "annotations", options.annotations,
      "the file of captions; WebDataset: the shards, such as cc3m/{00000..00331}.tar; folder: not used");
  visitor.option("images", options.images,
                 "folder that relative image names start from; WebDataset: not used");
  visitor.option(
      "image_column", options.image_column,
      "column of a table, or key of a JSON record, that names the image; empty: filepath in a table, "
      "image or file_name in JSON");
  visitor.option(
      "caption_column", options.caption_column,
      "column of a table, or key of a JSON record, that holds the caption; empty: title in a table, "
      "caption or text in JSON");
  visitor.choice("separator", options.separator, kSeparatorNames,
                 "between the columns of a table; auto: told by the header line, whatever the file's ending");
  visitor.option("split", options.split,
                 "splits to read, by the column or key `split`; empty: train and restval of Karpathy's JSON, "
                 "everything of other formats");
  visitor.choice(
      "captions_per_file", options.captions_per_file, kCaptionsPerFileNames,
      "of a .txt in WebDataset shards and folders; lines: one caption per line, as CLIP_benchmark's "
      "retrieval shards have them");
  visitor.option("workers", options.workers, "threads that decode ahead of the step");
  visitor.choice(
      "on_bad_sample", options.on_bad_sample, kOnBadSampleNames,
      "skip: a bad record or the rest of a damaged shard is left out, and the next sample of the epoch's "
      "order takes the place of a bad image; fail: stop with its error");
  visitor.option(
      "max_bad", options.max_bad,
      "share of the samples that may be bad in an epoch, and of the records that may be left out when "
      "the data set is opened (ten are always allowed there)");
  visitor.choice("convert", options.convert, kConvertNames,
                 "when a palette, alpha or CMYK image becomes RGB: first, or after_resize as in open_clip");
  visitor.option(
      "confine", options.confine,
      "whether an image outside data.images counts as bad: an absolute path, '..', a link that leads out");
}

}  // namespace sdsclip
