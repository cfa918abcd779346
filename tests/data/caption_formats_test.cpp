// Karpathy's JSON, lists of records, JSON Lines, folders; and how all formats meet bad records.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "sdsclip/base/text.h"
#include "sdsclip/data/captions.h"
#include "sdsclip/data/limits.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;
using Texts = std::vector<std::string>;
using testing::expect_error;

constexpr BadRecordRule kSkip = {OnBadSample::kSkip, 1};

class CaptionFormats : public ::testing::Test {
 protected:
  fs::path write(const std::string& name, std::string_view text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }

  /// "name: caption | caption" per sample.
  static Texts listed(const CaptionDataset& dataset) {
    Texts samples;
    for (std::int64_t i = 0; i < dataset.size(); ++i) {
      const CaptionRecord record = dataset.record(i);
      samples.push_back(fmt::format("{}: {}", record.image_name, join(record.captions, " | ")));
    }
    return samples;
  }

  Texts read_json(std::string_view text, bool lines, const RecordKeys& keys = {},
                  const BadRecordRule& rule = {}) {
    return listed(*open_json_captions(write("c.json", text), folder_.path(), lines, keys, rule));
  }
  Texts read_coco(std::string_view text, const BadRecordRule& rule = {}) {
    return listed(*open_coco_captions(write("c.json", text), folder_.path(), rule));
  }
  Texts read_table(std::string_view text, const TableOptions& options = {}) {
    return listed(*open_table_captions(write("t.csv", text), folder_.path(), options));
  }
  Texts read_karpathy(std::string_view text, const Texts& split = {}, const BadRecordRule& rule = {}) {
    return listed(*open_karpathy_captions(write("k.json", text), folder_.path(), split, rule));
  }

  testing::TemporaryFolder folder_;
};

constexpr std::string_view kQuirks = R"({"info": {"score": NaN, "text": "\ud800", "far": [-Infinity, 1e999]},
  "images": [{"id": "a", "file_name": "a.jpg", "width": NaN}, {"id": "b", "file_name": "b.jpg"}],
  "annotations": [{"image_id": "a", "caption": "one", "score": NaN},
                  {"image_id": "z", "caption": "of no image"},
                  {"image_id": "b", "caption": null},
                  {"image_id": "b", "caption": "lone \ud83d surrogate"},
                  {"image_id": "b", "caption": "two \ud83d\ude00"}]})";

TEST_F(CaptionFormats, ABadRecordOfCocoIsLeftOutOrNamed) {
  EXPECT_EQ(read_coco(kQuirks, kSkip), (Texts{"a.jpg: one", "b.jpg: two \U0001F600"}));
  expect_error(ExitCode::kInput, {"annotations[2]", "'caption' is null", "data.on_bad_sample"},
               [&] { read_coco(kQuirks); });
}

TEST_F(CaptionFormats, AnExtremelyLongCaptionIsABadRecord) {
  const std::string long_text(kMostCaptionBytes, 'x');
  const std::string coco =
      R"({"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1, "caption": ")" +
      long_text + R"("}, {"image_id": 1, "caption": "short"}]})";
  EXPECT_EQ(read_coco(coco, kSkip), Texts{"a.jpg: short"});
  expect_error(ExitCode::kInput, {"annotations[0]", "longer than"}, [&] { read_coco(coco); });
}

TEST_F(CaptionFormats, TooManyBadRecordsAreAnError) {
  std::string coco =
      R"({"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1, "caption": "c"})";
  for (int i = 0; i < 10; ++i) coco += R"(, {"image_id": 2, "caption": "c"})";
  const BadRecordRule rule = {OnBadSample::kSkip, 0.5};
  EXPECT_EQ(read_coco(coco + "]}", rule).size(), 1U);  // ten are always allowed
  coco += R"(, {"image_id": 2, "caption": "c"})";
  expect_error(ExitCode::kInput, {"11 of 12", "data.max_bad", "annotations[1]"},
               [&] { read_coco(coco + "]}", rule); });
}

TEST_F(CaptionFormats, RefusesFilesThatAreNotJson) {
  const std::string start = R"({"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": )";
  for (const std::string& end : Texts{"[{\"caption\": \"a\nb\"}]}", "[{]}", "[1 2]}", "[1,]}", "[{\"a\" 1}]}",
                                      "[tru]}", "[{\"a\": }]}", "[]} x", "[", "[{\"caption\": \"a"}) {
    expect_error(ExitCode::kInput, {"c.json:", "not JSON, or cut short"},
                 [&] { read_coco(start + end, kSkip); });
  }
  expect_error(ExitCode::kInput, {"nested deeper"},
               [&] { read_coco("{\"a\": " + std::string(100'000, '[')); });
}

TEST_F(CaptionFormats, ReadsTheSplitsOfKarpathysFile) {
  constexpr std::string_view kKarpathy = R"({"images": [
    {"filepath": "val2014", "sentids": [1], "filename": "a.jpg", "imgid": 0, "split": "test", "sentences": [{"raw": "t"}]},
    {"filepath": "val2014", "filename": "b.jpg", "split": "restval",
     "sentences": [{"tokens": ["r"], "raw": "r \"1\"", "imgid": 1}, {"raw": "r 2"}], "cocoid": 5},
    {"filename": "c.jpg", "split": "train", "sentences": [{"raw": "c"}, {"tokens": []}]}], "dataset": "coco"})";
  EXPECT_EQ(read_karpathy(kKarpathy, {}, kSkip), (Texts{"val2014/b.jpg: r \"1\" | r 2", "c.jpg: c"}));
  EXPECT_EQ(read_karpathy(kKarpathy, {"test"}), (Texts{"val2014/a.jpg: t"}));
  expect_error(ExitCode::kInput, {"images[2], sentence 1", "'raw' is missing"},
               [&] { read_karpathy(kKarpathy); });
  expect_error(ExitCode::kInput, {"none of 3 images", "'val'"}, [&] { read_karpathy(kKarpathy, {"val"}); });
  expect_error(ExitCode::kInput, {"data.format=coco"}, [&] { read_karpathy(kQuirks); });
  expect_error(ExitCode::kInput, {"data.format=karpathy"}, [&] { read_coco(kKarpathy); });
}

TEST_F(CaptionFormats, ReadsListsOfRecords) {
  constexpr std::string_view kBlip = R"([{"caption": "one", "image": "a.jpg", "image_id": "coco_1"},
    {"image": "b.jpg", "caption": ["x", "y"]}, {"file_name": "c.jpg", "text": "t"}, {"image": "d.jpg"}])";
  EXPECT_EQ(read_json(kBlip, false, {}, kSkip), (Texts{"a.jpg: one", "b.jpg: x | y", "c.jpg: t"}));
  expect_error(ExitCode::kInput, {"record 3", "'caption' or 'text'"}, [&] { read_json(kBlip, false); });
  EXPECT_EQ(read_json(R"([{"i": "a", "c": "x", "split": "train"}, {"i": "b", "c": "y", "split": "val"}])",
                      false, {"i", "c", {"train"}}),
            Texts{"a: x"});
  // A bad caption is reported and does not affect the others.
  constexpr std::string_view kPartly = R"([{"image": "a.jpg", "caption": ["A", null]}])";
  EXPECT_EQ(read_json(kPartly, false, {}, kSkip), Texts{"a.jpg: A"});
  expect_error(ExitCode::kInput, {"record 0", "'caption'"}, [&] { read_json(kPartly, false); });
  expect_error(ExitCode::kInput, {"data.format=coco"}, [&] { read_json(kQuirks, false); });
  expect_error(ExitCode::kInput, {"got a list", "data.format=json"}, [&] { read_json(kBlip, true); });
}

TEST_F(CaptionFormats, ABadLineOfJsonLinesLosesNothingElse) {
  constexpr std::string_view kLines =
      "{\"file_name\": \"a.jpg\", \"text\": \"one\"}\r\n\n{\"image\": \"b.jpg\", \"caption\": \"cut\n"
      "{\"image\": \"c.jpg\", \"caption\": \"three\"} trailing\n7\n{\"image\": \"d.jpg\", \"caption\": "
      "[\"x\", \"y\"]}";
  EXPECT_EQ(read_json(kLines, true, {}, kSkip), (Texts{"a.jpg: one", "d.jpg: x | y"}));
  expect_error(ExitCode::kInput, {"c.json:3", "not JSON"}, [&] { read_json(kLines, true); });
}

TEST_F(CaptionFormats, ReadsTheTablesColumnsAndSeparator) {
  EXPECT_EQ(read_table("filepath\ttitle\na.jpg\tone, two\n"),
            Texts{"a.jpg: one, two"});  // for any file ending
  EXPECT_EQ(read_table("title;filepath\none, two;a.jpg\n"), Texts{"a.jpg: one, two"});
  const TableOptions kaggle = {
      .separator = Separator::kDetect, .columns = {"image_name", "comment", {}}, .rule = kSkip};
  EXPECT_EQ(read_table("image_name| comment_number| comment\na.jpg| 0| A dog .\n", kaggle),
            Texts{"a.jpg:  A dog ."});
  expect_error(ExitCode::kInput,
               {"'image', 'caption' between commas", "data.image_column", "data.caption_column"},
               [&] { read_table("image,caption\na.jpg,x\n"); });
  const TableOptions commas = {.separator = Separator::kComma, .columns = {}, .rule = {}};
  expect_error(ExitCode::kInput, {"filepath\\x09title", "data.separator=auto"},
               [&] { read_table("filepath\ttitle\na.jpg\tx\n", commas); });
}

TEST_F(CaptionFormats, ReadsFlickrsTokenFilesAndListsInACell) {
  EXPECT_EQ(read_table("a.jpg#0\t\"A dog\" runs .\na.jpg#1\tA dog .\n"),
            (Texts{"a.jpg: \"A dog\" runs .", "a.jpg: A dog ."}));
  const TableOptions hub = {
      .separator = Separator::kDetect, .columns = {"filename", "raw", {"train"}}, .rule = {}};
  EXPECT_EQ(
      read_table(
          "raw,split,filename\n\"[\"\"one \\ud83d\\ude00\"\", \"\"two\"\"]\",train,a.jpg\n[x,test,b.jpg\n",
          hub),
      Texts{"a.jpg: one \U0001F600 | two"});
}

TEST_F(CaptionFormats, ABadRowIsABadSampleUnlessTheRuleIsToFail) {
  constexpr std::string_view kRows = "filepath,title\na.jpg,\"x\ny\"\nb.jpg\nc.jpg,z\n";
  const std::unique_ptr<CaptionDataset> dataset = open_table_captions(
      write("t.csv", kRows), folder_.path(), {.separator = {}, .columns = {}, .rule = kSkip});
  ASSERT_EQ(dataset->size(), 3);
  EXPECT_EQ(dataset->record(2).captions, Texts{"z"});
  expect_error(ExitCode::kInput, {"row 2 (line 4)", "got 1 columns"}, [&] { (void)dataset->record(1); });
  expect_error(ExitCode::kInput, {"row 2 (line 4)", "got 1 columns", "data.on_bad_sample=skip"},
               [&] { read_table(kRows); });
}

TEST_F(CaptionFormats, NamesTheLineOfARowFarIntoTheTable) {
  std::string rows = "filepath,title,split\n";
  for (int i = 1; i < 5000; ++i) rows += i % 2 == 0 ? "a.jpg,\"x\ny\",train\n" : "a.jpg,x,test\n";
  rows += "last.jpg,,train\n";
  const std::unique_ptr<CaptionDataset> dataset = open_table_captions(
      write("t.csv", rows), folder_.path(), {.separator = {}, .columns = {"", "", {"train"}}, .rule = kSkip});
  ASSERT_EQ(dataset->size(), 2500);
  expect_error(ExitCode::kInput, {"row 5000 (line 7500)", "no image or no caption"},
               [&] { (void)dataset->record(2499); });
}

TEST_F(CaptionFormats, NamesTheKindOfAFileThatIsNotATable) {
  expect_error(ExitCode::kInput, {"a Parquet file", "parquet_to_webdataset.py"},
               [&] { read_table("PAR1\x15\x02"); });
  expect_error(ExitCode::kInput, {"address of an image", "img2dataset"},
               [&] { read_table("a bus station\thttp://example.org/a.jpg\n"); });  // CC3M as it is published
  expect_error(ExitCode::kInput, {"row 1", "address", "img2dataset"},
               [&] { read_table("filepath\ttitle\nhttps://example.org/a.jpg\tx\n"); });
  expect_error(ExitCode::kInput, {"looks like JSON", "data.format"},
               [&] { read_table("{\"images\": []}\n"); });
  expect_error(ExitCode::kInput, {"gzip"}, [&] { read_coco("\x1f\x8b\x08"); });
}

TEST_F(CaptionFormats, ANamedPipeOrDeviceIsRefusedAtOnce) {
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const std::initializer_list<std::string> parts = {"a pipe", "regular file"};
  expect_error(ExitCode::kInput, parts, [&] { (void)open_table_captions(pipe, folder_.path()); });
  expect_error(ExitCode::kInput, parts, [&] { (void)open_coco_captions(pipe, folder_.path()); });
  expect_error(ExitCode::kInput, parts, [&] { (void)open_json_captions(pipe, folder_.path(), true); });
  expect_error(ExitCode::kInput, parts, [&] { (void)open_webdataset_captions(pipe.string()); });
  expect_error(ExitCode::kInput, {"a device"}, [&] { (void)open_webdataset_captions("/dev/zero"); });
}

TEST_F(CaptionFormats, PairsTheFilesOfAFolder) {
  write("data/b.JPG", "bytes");
  write("data/b.txt", "one\ntwo\r\n\n");
  write("data/sub/a.b.png", "x");
  write("data/sub/a.b.TXT", "dotted");
  write("data/alone.jpg", "x");
  write("data/.hidden/c.jpg", "x");
  write("data/.hidden/c.txt", "x");
  fs::create_directory_symlink(folder_ / "data", folder_ / "data/sub/above");
  const std::unique_ptr<CaptionDataset> lines =
      open_folder_captions(folder_ / "data", CaptionsPerFile::kLines);
  EXPECT_EQ(listed(*lines), (Texts{"b.JPG: one | two", "sub/a.b.png: dotted"}));
  EXPECT_EQ(lines->image_bytes(0), "bytes");
  EXPECT_EQ(open_folder_captions(folder_ / "data")->record(0).captions, Texts{"one\ntwo\r\n\n"});
  write("lone/a.jpg", "x");
  expect_error(ExitCode::kInput, {"holds no sample", "1 images"},
               [&] { (void)open_folder_captions(folder_ / "lone"); });
  expect_error(ExitCode::kInput, {"absent", "cannot read"},
               [&] { (void)open_folder_captions(folder_ / "absent"); });
}

TEST_F(CaptionFormats, RefusesAnOptionThatItsFormatDoesNotRead) {
  CaptionSource source;
  source.annotations = write("c.json", kQuirks).string();
  source.image_column = "image";
  expect_error(ExitCode::kUsage, {"data.image_column", "tsv"}, [&] { (void)open_captions(source); });
}

}  // namespace
}  // namespace sdsclip
