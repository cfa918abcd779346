#include "sdsclip/data/captions.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <fstream>

#include "sdsclip/base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;
using Texts = std::vector<std::string>;
using testing::TemporaryFolder;

void write(const fs::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

constexpr std::string_view kCoco = R"({
  "info": {"description": "a \"quoted\" set", "images": [1, 2], "id": 9},
  "licenses": [{"id": 4, "file_name": "no image"}],
  "annotations": [
    {"image_id": 20, "id": 1, "caption": "A dog."},
    {"id": 2, "caption": "caf\u00e9 \"bar\"\n\ud83d\ude00", "image_id": 10, "extra": {"caption": "inner", "image_id": 20}},
    {"image_id": 20, "id": 3, "caption" : "Two dogs."}
  ],
  "images": [
    {"id": 10, "file_name": "a.jpg", "width": 3.5, "nested": [{"id": 99}]},
    {"file_name": "without captions.jpg", "id": 30},
    {"id": 20, "file_name": "sub/b.jpg"}
  ]
})";

TEST(CocoCaptions, ReadsImagesAndTheirCaptionsInTheFilesOrder) {
  const TemporaryFolder folder;
  write(folder / "captions.json", kCoco);
  fs::create_directory(folder / "sub");
  write(folder / "sub/b.jpg", "the bytes of b");

  const std::unique_ptr<CaptionDataset> dataset = open_coco_captions(folder / "captions.json", folder.path());
  ASSERT_EQ(dataset->size(), 2);
  EXPECT_EQ(dataset->record(0).image_name, "a.jpg");
  EXPECT_EQ(dataset->record(0).captions, (Texts{"caf\u00e9 \"bar\"\n\U0001F600"}));
  EXPECT_EQ(dataset->record(1).image_name, "sub/b.jpg");
  EXPECT_EQ(dataset->record(1).captions, (Texts{"A dog.", "Two dogs."}));
  EXPECT_TRUE(dataset->record(1).negative_captions.empty());
  EXPECT_EQ(dataset->image_bytes(1), "the bytes of b");
}

TEST(CocoCaptions, NamesAMissingImage) {
  const TemporaryFolder folder;
  write(folder / "captions.json", kCoco);
  const std::unique_ptr<CaptionDataset> dataset = open_coco_captions(folder / "captions.json", folder.path());
  testing::expect_error(ExitCode::kInput, {"a.jpg", "No such file"}, [&] { (void)dataset->image_bytes(0); });
}

TEST(CocoCaptions, KeepsAtMost64BytesPerSampleInMemory) {
  const TemporaryFolder folder;
  std::string images;
  std::string annotations;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = std::to_string(i);
    images +=
        std::string(i > 0 ? "," : "") + R"({"id": )" + id + R"(, "file_name": "000000)" + id + R"(.jpg"})";
    for (int j = 0; j < 5; ++j) {
      annotations +=
          std::string(i + j > 0 ? "," : "") + R"({"image_id": )" + id +
          R"(, "caption": "A caption that is much longer than the place that the index has for it."})";
    }
  }
  write(folder / "captions.json", R"({"images": [)" + images + R"(], "annotations": [)" + annotations + "]}");
  const std::unique_ptr<CaptionDataset> dataset = open_coco_captions(folder / "captions.json", folder.path());
  EXPECT_EQ(dataset->size(), 1000);
  EXPECT_LE(dataset->index_bytes(), 64U * 1000U);
  EXPECT_EQ(dataset->record(999).captions.size(), 5U);
}

TEST(CocoCaptions, NamesTheRecordThatIsWrong) {
  const TemporaryFolder folder;
  const auto expect = [&](std::initializer_list<std::string> parts, std::string_view json) {
    write(folder / "c.json", json);
    testing::expect_error(ExitCode::kInput, parts,
                          [&] { (void)open_coco_captions(folder / "c.json", folder.path()); });
  };
  const std::string images = R"({"images": [{"id": 1, "file_name": "a"}], )";
  expect({"c.json", "annotations[1]", "'image_id'"},
         images + R"("annotations": [{"image_id": 1, "caption": "x"}, {"image_id": "1", "caption": "y"}]})");
  expect({"annotations[0]", "id 7"}, images + R"("annotations": [{"image_id": 7, "caption": "x"}]})");
  expect({"annotations[0]", "'caption'"}, images + R"("annotations": [{"image_id": 1, "caption": ["x"]}]})");
  expect({"images[1]", "twice"}, R"({"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}],
                                     "annotations": []})");
  expect({"images[0]", "'file_name'"}, R"({"images": [{"id": 1}], "annotations": []})");
  expect({"no list 'annotations'"}, R"({"images": []})");
  expect({"no list 'images'"}, "[]");
  expect({"no image with a caption"}, images + R"("annotations": []})");
  expect({"not JSON, or cut short"}, images + R"("annotations": [{"image_id": 1, "capt)");
  testing::expect_error(ExitCode::kInput, {"absent.json"},
                        [&] { (void)open_coco_captions(folder / "absent.json", folder.path()); });
}

TEST(TableCaptions, ReadsOpenClipsColumnsInAnyOrder) {
  const TemporaryFolder folder;
  write(folder / "t.tsv",
        "title\tother\tfilepath\na cat\t1\tc.jpg\n\"two\nlines, \"\"quoted\"\"\"\t2\tsub/d.jpg\n");
  write(folder / "c.jpg", "bytes of c");
  const std::unique_ptr<CaptionDataset> dataset = open_table_captions(folder / "t.tsv", folder.path());
  ASSERT_EQ(dataset->size(), 2);
  EXPECT_EQ(dataset->record(0).captions, (Texts{"a cat"}));
  EXPECT_EQ(dataset->record(1).captions, (Texts{"two\nlines, \"quoted\""}));
  EXPECT_EQ(dataset->record(1).image_name, "sub/d.jpg");
  EXPECT_EQ(dataset->image_bytes(0), "bytes of c");
  EXPECT_EQ(dataset->index_bytes(), 16U);
}

TEST(TableCaptions, AcceptsCommasWindowsLinesAndABlankEnd) {
  const TemporaryFolder folder;
  write(folder / "t.csv",
        "\xef\xbb\xbf"
        "filepath,title\r\n/x/a.jpg,\"a, b\"\r\nb.jpg,it's 5\" long\r\n\r\n");
  const std::unique_ptr<CaptionDataset> dataset = open_table_captions(folder / "t.csv", folder.path());
  ASSERT_EQ(dataset->size(), 2);
  EXPECT_EQ(dataset->record(0).image_name, "/x/a.jpg");
  EXPECT_EQ(dataset->record(0).captions, (Texts{"a, b"}));
  EXPECT_EQ(dataset->record(1).captions, (Texts{"it's 5\" long"}));
}

TEST(TableCaptions, ReadsNegativeCaptionsPlainOrAsAList) {
  const TemporaryFolder folder;
  write(folder / "t.tsv",
        "filepath\ttitle\tneg_caption\na\tx\tplain one\nb\ty\t['it\\'s', \"b\\u00e9\\n\" "
        "]\nc\tz\t\nd\tw\t['open\n");
  const std::unique_ptr<CaptionDataset> dataset = open_table_captions(folder / "t.tsv", folder.path());
  EXPECT_EQ(dataset->record(0).negative_captions, (Texts{"plain one"}));
  EXPECT_EQ(dataset->record(1).negative_captions, (Texts{"it's", "b\u00e9\n"}));
  EXPECT_TRUE(dataset->record(2).negative_captions.empty());
  testing::expect_error(ExitCode::kInput, {"t.tsv: row 4", "list"}, [&] { (void)dataset->record(3); });
}

TEST(TableCaptions, NamesTheRowThatIsWrong) {
  const TemporaryFolder folder;
  const auto expect = [&](std::initializer_list<std::string> parts, std::string_view text) {
    write(folder / "t.tsv", text);
    testing::expect_error(ExitCode::kInput, parts,
                          [&] { (void)open_table_captions(folder / "t.tsv", folder.path()); });
  };
  expect({"'image', 'caption'", "'filepath' and 'title'"}, "image\tcaption\na\tb\n");
  expect({"row 2", "3 columns", "expected 2"}, "filepath\ttitle\na\tb\nc\td\te\n");
  expect({"row 1", "quoted field does not end"}, "filepath\ttitle\na\t\"b\n");
  expect({"holds no row"}, "filepath\ttitle\n");
  expect({"holds no row"}, "");
}

TEST(TableCaptions, ARowWithoutCaptionIsBadWhenItIsRead) {
  const TemporaryFolder folder;
  write(folder / "t.tsv", "filepath\ttitle\na\t\n");
  const std::unique_ptr<CaptionDataset> dataset = open_table_captions(folder / "t.tsv", folder.path());
  testing::expect_error(ExitCode::kInput, {"row 1", "no caption"}, [&] { (void)dataset->record(0); });
}

TEST(TableCaptions, AgreesWithItselfAcrossReadBlocks) {
  const TemporaryFolder folder;
  std::string text = "filepath\ttitle\n";
  for (int i = 0; i < 60000; ++i)
    text += std::to_string(i) + ".jpg\tcaption \"\" number " + std::to_string(i) + "\n";
  write(folder / "t.tsv", text);  // some 2 MB: more than one block
  const std::unique_ptr<CaptionDataset> dataset = open_table_captions(folder / "t.tsv", folder.path());
  ASSERT_EQ(dataset->size(), 60000);
  for (const std::int64_t i : {0, 29999, 30000, 59999}) {
    EXPECT_EQ(dataset->record(i).image_name, std::to_string(i) + ".jpg");
    EXPECT_EQ(dataset->record(i).captions[0], "caption \"\" number " + std::to_string(i));
  }
}

/// Writes a tar with libarchive's `format` of these (name, content) files.
void write_tar(const fs::path& path, int format,
               const std::vector<std::pair<std::string, std::string>>& files) {
  archive* writer = archive_write_new();
  archive_write_set_format(writer, format);
  archive_write_open_filename(writer, path.c_str());
  for (const auto& [name, content] : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_write_header(writer, entry);
    archive_write_data(writer, content.data(), content.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
}

TEST(WebDatasetCaptions, PairsImagesAndTextsOfSeveralShards) {
  const TemporaryFolder folder;
  const std::string long_name = std::string(150, 'n') + "/key";  // needs a header of its own
  write_tar(folder / "s00.tar", ARCHIVE_FORMAT_TAR_USTAR,
            {{"a.jpg", "image a"},
             {"a.json", "{}"},
             {"a.txt", "text a"},
             {"b.jpg", "image without text"},
             {"c.TXT", "text c"},
             {"c.PNG", std::string(1000, 'c')}});
  write_tar(folder / "s01.tar", ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE,
            {{long_name + ".txt", "long"}, {long_name + ".webp", "image long"}});
  write_tar(folder / "more.tar", ARCHIVE_FORMAT_TAR_GNUTAR,
            {{long_name + ".jpeg", "gnu"}, {long_name + ".txt", "g"}});

  const std::string shards = (folder / "s{00..01}.tar").string() + "::" + (folder / "more.tar").string();
  const std::unique_ptr<CaptionDataset> dataset = open_webdataset_captions(shards);
  ASSERT_EQ(dataset->size(), 4);
  EXPECT_EQ(dataset->record(0).captions, (Texts{"text a"}));
  EXPECT_EQ(dataset->record(0).image_name, (folder / "s00.tar").string() + ":a.jpg");
  EXPECT_EQ(dataset->image_bytes(0), "image a");
  EXPECT_EQ(dataset->record(1).captions, (Texts{"text c"}));
  EXPECT_EQ(dataset->image_bytes(1), std::string(1000, 'c'));
  EXPECT_EQ(dataset->record(2).captions, (Texts{"long"}));
  EXPECT_EQ(dataset->image_bytes(2), "image long");
  EXPECT_EQ(dataset->image_bytes(3), "gnu");
  EXPECT_LE(dataset->index_bytes(), 64U * 4U);
}

TEST(WebDatasetCaptions, NamesAShardThatIsWrong) {
  const TemporaryFolder folder;
  const fs::path shard = folder / "s.tar";
  const auto expect = [&](std::initializer_list<std::string> parts) {
    testing::expect_error(ExitCode::kInput, parts, [&] { (void)open_webdataset_captions(shard.string()); });
  };
  expect({"s.tar", "No such file"});
  write(shard, std::string(2000, 'x'));
  expect({"s.tar", "uncompressed tar"});
  write_tar(shard, ARCHIVE_FORMAT_TAR_USTAR, {{"a.jpg", "image"}});
  expect({"s.tar", "holds no sample"});
  write_tar(shard, ARCHIVE_FORMAT_TAR_USTAR, {{"a.txt", "text"}, {"a.jpg", std::string(5000, 'i')}});
  fs::resize_file(shard, 4000);
  expect({"s.tar"});
}

constexpr BadRecordRule kSkipBad = {OnBadSample::kSkip, 1};

TEST(WebDatasetCaptions, KeepsAnEmptyText) {
  const TemporaryFolder folder;
  write_tar(folder / "s.tar", ARCHIVE_FORMAT_TAR_USTAR,
            {{"a.jpg", "image a"}, {"a.txt", ""}, {"b.txt", "text b"}, {"b.jpg", ""}});
  const std::unique_ptr<CaptionDataset> dataset = open_webdataset_captions((folder / "s.tar").string());
  ASSERT_EQ(dataset->size(), 2);
  EXPECT_EQ(dataset->record(0).captions, (Texts{""}));
  EXPECT_EQ(dataset->image_bytes(1), "");
}

TEST(WebDatasetCaptions, SkipsMembersThatBelongToNoSample) {
  const TemporaryFolder folder;
  // As webdataset's base_plus_ext: no dot, or one in front (macOS puts ._NAME before each file).
  write_tar(folder / "s.tar", ARCHIVE_FORMAT_TAR_USTAR,
            {{"._a.png", "x"},
             {"a.png", "image a"},
             {"._a.txt", "x"},
             {"a.txt", "text a"},
             {"d/b.png", "image b"},
             {"LICENSE", "x"},
             {"d/.b.txt", "x"},
             {"d/b.txt", "text b"}});
  const std::unique_ptr<CaptionDataset> dataset = open_webdataset_captions((folder / "s.tar").string());
  ASSERT_EQ(dataset->size(), 2);
  EXPECT_EQ(dataset->record(0).captions, (Texts{"text a"}));
  EXPECT_EQ(dataset->record(1).captions, (Texts{"text b"}));
  EXPECT_EQ(dataset->image_bytes(1), "image b");
}

TEST(WebDatasetCaptions, ReadsACaptionPerLineIfAsked) {
  const TemporaryFolder folder;
  write_tar(folder / "s.tar", ARCHIVE_FORMAT_TAR_USTAR,
            {{"a.jpg", "image a"}, {"a.txt", "one\ntwo\r\n\n"}, {"b.jpg", "image b"}, {"b.txt", "\n"}});
  const std::unique_ptr<CaptionDataset> dataset =
      open_webdataset_captions((folder / "s.tar").string(), CaptionsPerFile::kLines);
  EXPECT_EQ(dataset->record(0).captions, (Texts{"one", "two"}));
  testing::expect_error(ExitCode::kInput, {"s.tar:b.jpg", "no caption"}, [&] { (void)dataset->record(1); });
}

TEST(WebDatasetCaptions, UsesTheSoundSamplesOfADamagedShard) {
  const TemporaryFolder folder;
  const std::string shards = (folder / "s{0..2}.tar").string();
  for (const char* name : {"s0.tar", "s1.tar", "s2.tar"}) {
    write_tar(folder / name, ARCHIVE_FORMAT_TAR_USTAR,
              {{"a.jpg", std::string(5000, 'a')},
               {"a.txt", "a"},
               {"b.jpg", std::string(5000, 'b')},
               {"b.txt", "b"}});
  }
  const auto samples = [&] { return open_webdataset_captions(shards, CaptionsPerFile::kOne, kSkipBad); };
  fs::resize_file(folder / "s1.tar", 9000);  // inside b.jpg
  ASSERT_EQ(samples()->size(), 5);
  EXPECT_EQ(samples()->record(2).image_name, (folder / "s1.tar").string() + ":a.jpg");
  EXPECT_EQ(samples()->image_bytes(3), std::string(5000, 'a'));
  testing::expect_error(ExitCode::kInput, {"s1.tar", "ends inside 'b.jpg'"},
                        [&] { (void)open_webdataset_captions(shards); });
  for (const std::uintmax_t size :
       {7168U, 6700U, 6656U}) {  // in b.jpg's header or before it, after a.txt's text
    fs::resize_file(folder / "s1.tar", size);
    ASSERT_EQ(samples()->size(), 5) << size;
  }
  fs::resize_file(folder / "s1.tar", 0);
  EXPECT_EQ(samples()->size(), 4);
  fs::remove(folder / "s1.tar");  // a wrong pattern is no bad sample
  testing::expect_error(ExitCode::kInput, {"s1.tar", "No such file"}, [&] { (void)samples(); });
}

TEST(WebDatasetCaptions, NamesTheSparseEntryOfAShard) {
  const TemporaryFolder folder;
  const auto field = [](std::string& header, std::size_t at, const std::string& text) {
    header.replace(at, text.size(), text);
  };
  std::string header(512, '\0');  // an old GNU sparse file that claims 2^40 bytes, and stores none
  field(header, 0, "a.jpg");
  field(header, 100, "0000644");
  field(header, 124, "00000000000");
  field(header, 136, "00000000000");
  field(header, 148, "        ");
  field(header, 156, "S");
  field(header, 257, "ustar  ");
  field(header, 386, "20000000000000");
  header[386 + 12] = '\0';
  field(header, 386, std::string("\x80\0\0\0\0\0\1\0\0\0\0\0", 12));
  field(header, 398, "00000000000");
  field(header, 483, std::string("\x80\0\0\0\0\0\1\0\0\0\0\0", 12));
  unsigned int sum = 0;
  for (const char character : header) sum += static_cast<unsigned char>(character);
  field(header, 148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  write(folder / "s.tar", header + std::string(1024, '\0'));
  testing::expect_error(ExitCode::kInput, {"s.tar", "'a.jpg'", "sparse"},
                        [&] { (void)open_webdataset_captions((folder / "s.tar").string()); });
}

TEST(WebDatasetCaptions, SaysThatAShardIsCompressed) {
  const TemporaryFolder folder;
  write(folder / "s.tar", std::string("\x1f\x8b\x08\0\0", 5));
  testing::expect_error(ExitCode::kInput, {"s.tar", "gzip", "gunzip"},
                        [&] { (void)open_webdataset_captions((folder / "s.tar").string()); });
}

TEST(ExpandShards, ExpandsRangesListsAndMixtures) {
  EXPECT_EQ(expand_shards("a{08..10}.tar::b.tar"), (Texts{"a08.tar", "a09.tar", "a10.tar", "b.tar"}));
  EXPECT_EQ(expand_shards("{x,yy}/{0..1}"), (Texts{"x/0", "x/1", "yy/0", "yy/1"}));
  EXPECT_EQ(expand_shards("{9..11}"), (Texts{"9", "10", "11"}));
  EXPECT_EQ(expand_shards("plain.tar"), (Texts{"plain.tar"}));
}

TEST(ExpandShards, RefusesInvalidPatterns) {
  testing::expect_error(ExitCode::kUsage, {"a{0..3", "unclosed"}, [] { (void)expand_shards("a{0..3"); });
  testing::expect_error(ExitCode::kUsage, {"{5..3}", "counts up"}, [] { (void)expand_shards("a{5..3}"); });
  EXPECT_EQ(expand_shards(""), (Texts{""}));
  EXPECT_EQ(expand_shards("a{b}{}::"), (Texts{"ab", ""}));
}

TEST(ExpandShards, RefusesPatternsBeyondItsLimitsBeforeExpanding) {
  const auto expect = [](std::initializer_list<std::string> parts, const std::string& pattern) {
    testing::expect_error(ExitCode::kUsage, parts, [&] { (void)expand_shards(pattern); });
  };
  const auto repeated = [](const std::string& text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
  };
  expect({"{0..9999999}", "at most 1000000 shards"}, "s{0..9999999}.tar");
  expect({"{00000..80303331}", "1000000"}, "cc3m/{00000..80303331}.tar::b{a,b}.tar");
  expect({"more than 1000000 shards"}, repeated("{0..9}", 12));
  expect({"more than 1000000 shards"}, repeated("{0..999}", 20));
  expect({"path of more than 4096 bytes"}, repeated("{a}", 20'000));
  expect({"more than 1000000 shards"}, repeated("{0..999999}::", 3));
  expect({"536870912 bytes"}, std::string(4000, 'x') + "{0..199999}");
  expect({"counts up"}, "{0..99999999999999999999}");
  expect({"counts up"}, "{18446744073709551615..18446744073709551615}");
  EXPECT_EQ(expand_shards("{0..999999}").size(), 1'000'000U);
}

}  // namespace
}  // namespace sdsclip
