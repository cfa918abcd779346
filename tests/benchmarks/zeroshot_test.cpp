#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "benchmarks/data_files.h"
#include "sdsclip/benchmarks/images.h"
#include "sdsclip/benchmarks/metrics.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"
#include "tar_index.h"

namespace sdsclip {
namespace {

using testing::expect_error;
using testing::find_marks;
using testing::put_image;
using testing::set_scores;
using testing::write_text;

struct TarFile {
  std::string name;
  std::string content;
};

void write_tar(const std::filesystem::path& path, const std::vector<TarFile>& files) {
  std::filesystem::create_directories(path.parent_path());
  archive* const writer = archive_write_new();
  archive_write_set_format_pax_restricted(writer);
  archive_write_open_filename(writer, path.c_str());
  for (const TarFile& file : files) {
    archive_entry* const entry = archive_entry_new();
    archive_entry_set_pathname(entry, file.name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(file.content.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_write_header(writer, entry);
    archive_write_data(writer, file.content.data(), file.content.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
}

class Zeroshot : public ::testing::Test {
 protected:
  void write_names(const std::string& classes,
                   const std::string& templates = "a photo of a {c}.\n{} here\n") {
    write_text(folder_ / "classnames.txt", classes);
    write_text(folder_ / "templates.txt", templates);
  }
  void write_folders() {
    write_names("red circle\ncat\n");
    put_image(folder_ / "red_circle" / "b.png");
    put_image(folder_ / "red_circle" / "a.JPEG");
    put_image(folder_ / "cat" / "c.webp");
  }
  CaseTable load(LoadOptions options = {}) {
    options.data = folder_.path();
    return find_benchmark("zeroshot").load(options);
  }

  testing::TemporaryFolder folder_;
};

TEST_F(Zeroshot, ReadsAnImageFolderInTheOrderOfClassesAndNames) {
  write_folders();
  const CaseTable table = load();
  ASSERT_EQ(table.cases.size(), 3u);
  EXPECT_EQ(table.cases[0].id, "red_circle/a.JPEG");
  EXPECT_EQ(table.cases[2].id, "cat/c.webp");
  EXPECT_EQ(table.cases[2].positives, (std::vector<std::int32_t>{1}));
  EXPECT_EQ(table.caption_count(0), 2);
  EXPECT_EQ(table.caption_at(0, 1), 1);
}

TEST_F(Zeroshot, MakesOneEnsembleOfTemplatesPerClass) {
  write_folders();
  const CaseTable table = load();
  EXPECT_EQ(table.captions[0].id, "red circle");
  EXPECT_EQ(table.captions[0].texts,
            (std::vector<std::string>{"a photo of a red circle.", "red circle here"}));
}

TEST_F(Zeroshot, ReadsFolderNamesFromAListIfGiven) {
  write_names("tench\ngoldfish\n");
  write_text(folder_ / "folders.txt", "n01440764\nn01443537\n");
  put_image(folder_ / "n01440764" / "x.png");
  put_image(folder_ / "n01443537" / "y.png");
  EXPECT_EQ(load().cases[1].id, "n01443537/y.png");
  write_text(folder_ / "folders.txt", "n01440764\n");
  expect_error(ExitCode::kInput, {"folders.txt", "got 1", "expected 2"}, [&] { load(); });
}

TEST_F(Zeroshot, GivesClassesOfOneNameTheirOwnRows) {
  write_names("missile\nmissile\n");
  write_text(folder_ / "folders.txt", "a\nb\n");
  put_image(folder_ / "a" / "x.png");
  put_image(folder_ / "b" / "y.png");
  const CaseTable table = load();
  ASSERT_EQ(table.captions.size(), 2u);
  EXPECT_NE(table.captions[0].id, table.captions[1].id);
  EXPECT_EQ(table.captions[0].texts, table.captions[1].texts);
}

TEST_F(Zeroshot, NamesBothClassesOfOneFolder) {
  write_names("car\ntraffic light\ntraffic_light\n");
  put_image(folder_ / "car" / "x.png");
  put_image(folder_ / "traffic_light" / "x.png");
  expect_error(ExitCode::kInput,
               {"classnames.txt: line 2 ('traffic light') and line 3 ('traffic_light')",
                "same folder 'traffic_light'", "folders.txt"},
               [&] { load(); });
  write_text(folder_ / "folders.txt", "car\ntraffic_light\ncar\n");
  expect_error(ExitCode::kInput, {"line 1 ('car') and line 3 ('traffic_light')", "same folder 'car'"},
               [&] { load(); });
  put_image(folder_ / "traffic light" / "x.png");
  std::filesystem::remove(folder_ / "folders.txt");
  EXPECT_EQ(load().cases.size(), 3u);  // a folder of each name
}

// As CLIP_benchmark's `[line.strip() for line in text.splitlines()]`: labels are the lines' places.
TEST_F(Zeroshot, KeepsAnEmptyLineAsAClassSoThatNoLabelShifts) {
  write_names("\xef\xbb\xbf cat \ndog\r\n\n\u2003bird\t\n");
  write_text(folder_ / "test" / "nshards.txt", "1");
  write_tar(folder_ / "test" / "0.tar", {{"s0.jpg", "x"}, {"s0.cls", "3"}});
  const CaseTable table = load();
  ASSERT_EQ(table.captions.size(), 4u);
  EXPECT_EQ(table.captions[0].texts, (std::vector<std::string>{"a photo of a cat.", "cat here"}));
  EXPECT_EQ(table.captions[2].texts, (std::vector<std::string>{"a photo of a .", " here"}));
  EXPECT_EQ(table.captions[3].id, "bird");
  EXPECT_EQ(table.cases[0].positives, (std::vector<std::int32_t>{3}));
}

TEST_F(Zeroshot, RefusesAnEmptyLineWithoutAMeaning) {
  write_names("cat\n\nbird\n");
  put_image(folder_ / "cat" / "x.png");
  put_image(folder_ / "bird" / "x.png");
  expect_error(ExitCode::kInput, {"classnames.txt: line 2", "empty class name"}, [&] { load(); });
  write_text(folder_ / "folders.txt", "cat\n\nbird\n");
  expect_error(ExitCode::kInput, {"folders.txt: line 2", "empty line"}, [&] { load(); });
  write_text(folder_ / "folders.txt", "cat\nbird\nbird\n");
  std::filesystem::remove(folder_ / "folders.txt");
  write_names("cat\nbird\n", "a {c}\n\n");
  expect_error(ExitCode::kInput, {"templates.txt: line 2", "empty template"}, [&] { load(); });
}

// Like torchvision's ImageFolder, skips files that are not images and walks into folders inside a class.
TEST_F(Zeroshot, SkipsStrayFilesAndWalksIntoFolders) {
  write_names("cat\ndog\n");
  for (const char* name :
       {"cat/b.bmp", "cat/a.TIF", "cat/c.ppm", "cat/more/z.png", "cat/more.x/y.pgm", "cat/more/in/w.tiff",
        "cat/Thumbs.db", "cat/README.md", "cat/.hidden.png", "cat/__MACOSX/._b.bmp", "dog/d.jpeg",
        "__MACOSX/cat/._b.bmp", "notes.txt", ".git/x.png"}) {
    put_image(folder_ / name);
  }
  std::vector<std::string> ids;
  for (const Case& one : load().cases) ids.push_back(one.id);
  EXPECT_EQ(ids, (std::vector<std::string>{"cat/a.TIF", "cat/b.bmp", "cat/c.ppm", "cat/more/z.png",
                                           "cat/more.x/y.pgm", "cat/more/in/w.tiff", "dog/d.jpeg"}));
}

TEST_F(Zeroshot, RefusesALinkToAFolderAbove) {
  write_names("cat\n");
  put_image(folder_ / "cat" / "x.png");
  std::filesystem::create_directory_symlink(folder_ / "cat", folder_ / "cat" / "again");
  expect_error(ExitCode::kInput, {"again", "link to a folder above"}, [&] { load(); });
}

TEST_F(Zeroshot, ReadsEndingsInCapitalsInAWebDataset) {
  write_names("cat\ndog\n");
  write_text(folder_ / "test" / "nshards.txt", "1");
  write_tar(folder_ / "test" / "0.tar", {{"s0.JPG", "x"}, {"s0.cls", "1"}, {"s1.Png", "x"}, {"s1.CLS", "0"}});
  const CaseTable table = load();
  ASSERT_EQ(table.cases.size(), 2u);
  EXPECT_EQ(table.cases[0].id, "test/0.tar:s0.JPG");
  EXPECT_EQ(table.cases[1].positives, (std::vector<std::int32_t>{0}));
}

TEST_F(Zeroshot, ReadsClipBenchmarksWebDataset) {
  write_names("cat\ndog\n");
  std::filesystem::rename(folder_ / "templates.txt", folder_ / "zeroshot_classification_templates.txt");
  const std::string long_name(150, 'k');  // takes an extra header in the tar
  write_text(folder_ / "test" / "nshards.txt", "2");
  write_tar(folder_ / "test" / "0.tar", {{"s0000000.cls", "1"}, {"s0000000.jpg", "JPEG bytes"}});
  write_tar(folder_ / "test" / "1.tar",
            {{long_name + ".png", std::string(700, 'p')}, {long_name + ".cls", "0\n"}});
  const CaseTable table = load();
  ASSERT_EQ(table.cases.size(), 2u);
  EXPECT_EQ(table.cases[0].id, "test/0.tar:s0000000.jpg");
  EXPECT_EQ(table.cases[0].positives, (std::vector<std::int32_t>{1}));
  EXPECT_EQ(read_range(table.images[0].file, table.images[0].range), "JPEG bytes");
  EXPECT_EQ(read_range(table.images[1].file, table.images[1].range), std::string(700, 'p'));
}

TEST_F(Zeroshot, RefusesDamagedWebDatasets) {
  write_names("cat\ndog\n");
  write_text(folder_ / "test" / "nshards.txt", "1");
  write_tar(folder_ / "test" / "0.tar", {{"s0.jpg", "x"}});
  expect_error(ExitCode::kInput, {"0.tar", "'s0'", "no label"}, [&] { load(); });
  write_tar(folder_ / "test" / "0.tar", {{"s0.jpg", "x"}, {"s0.cls", "2"}});
  expect_error(ExitCode::kInput, {"0.tar", "'s0'", "got label 2", "below 2"}, [&] { load(); });
  write_tar(folder_ / "test" / "0.tar", {{"s0.jpg", "x"}, {"s0.cls", "cat"}});
  expect_error(ExitCode::kInput, {"'cat'", "whole number"}, [&] { load(); });
  write_tar(folder_ / "test" / "0.tar", {{"s0.jpg", "x"}, {"s0.npy", "labels"}});
  expect_error(ExitCode::kInput, {"s0.npy", "multi-label"}, [&] { load(); });
  write_text(folder_ / "test" / "0.tar", "not a tar at all, but long enough to be taken for a header");
  expect_error(ExitCode::kInput, {"0.tar", "uncompressed tar"}, [&] { load(); });
  write_text(folder_ / "test" / "nshards.txt", "many");
  expect_error(ExitCode::kInput, {"nshards.txt", "'many'"}, [&] { load(); });
}

TEST_F(Zeroshot, ReadsCifarBinaries) {
  write_names("cat\ndog\n");
  const std::string pixels(3072, 'x');
  write_text(folder_ / "test_batch.bin", std::string(1, '\0') + pixels + std::string(1, '\1') + pixels);
  CaseTable table = load();
  ASSERT_EQ(table.cases.size(), 2u);
  EXPECT_EQ(table.cases[1].id, "test_batch.bin:1");
  EXPECT_EQ(table.cases[1].positives, (std::vector<std::int32_t>{1}));
  EXPECT_EQ(table.images[1].range.offset, 3074u);
  EXPECT_EQ(table.images[1].raw->channels, 3);

  std::filesystem::remove(folder_ / "test_batch.bin");
  write_text(folder_ / "test.bin", std::string("\7\1", 2) + pixels);  // CIFAR-100: coarse 7, fine 1
  table = load();
  EXPECT_EQ(table.cases[0].positives, (std::vector<std::int32_t>{1}));
  EXPECT_EQ(table.images[0].range.offset, 2u);

  write_text(folder_ / "test.bin", std::string("\7\2", 2) + pixels);
  expect_error(ExitCode::kInput, {"test.bin", "record 0", "got label 2"}, [&] { load(); });
  write_text(folder_ / "test.bin", pixels);
  expect_error(ExitCode::kInput, {"test.bin", "3072 bytes", "3074"}, [&] { load(); });
}

TEST_F(Zeroshot, ReadsMnistFiles) {
  write_names("zero\none\n");
  const std::string images("\0\0\10\3\0\0\0\2\0\0\0\2\0\0\0\3abcdefghijkl", 28);
  write_text(folder_ / "t10k-images-idx3-ubyte", images);
  write_text(folder_ / "t10k-labels-idx1-ubyte", std::string("\0\0\10\1\0\0\0\2\1\0", 10));
  const CaseTable table = load();
  ASSERT_EQ(table.cases.size(), 2u);
  EXPECT_EQ(table.cases[0].positives, (std::vector<std::int32_t>{1}));
  EXPECT_EQ(table.images[1].raw->width, 3);
  EXPECT_EQ(table.images[1].raw->height, 2);
  EXPECT_EQ(read_range(table.images[1].file, table.images[1].range), "ghijkl");

  write_text(folder_ / "t10k-images-idx3-ubyte", images.substr(0, 27));
  expect_error(ExitCode::kInput, {"t10k-images-idx3-ubyte", "27 bytes"}, [&] { load(); });
  write_text(folder_ / "t10k-images-idx3-ubyte", "\x1f\x8b" + std::string(40, 'z'));
  expect_error(ExitCode::kInput, {"magic number", "gunzip"}, [&] { load(); });
}

void write_gzip(const std::filesystem::path& path, const std::string& content) {
  std::filesystem::create_directories(path.parent_path());
  const gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, content.data(), static_cast<unsigned int>(content.size()));
  gzclose(file);
}

TEST_F(Zeroshot, ReadsMnistAsPublished) {
  write_names("zero\none\n");
  for (const std::string folder : {"", "MNIST/raw"}) {
    const std::filesystem::path images = folder_ / folder / "t10k-images-idx3-ubyte.gz";
    write_gzip(images, std::string("\0\0\10\3\0\0\0\2\0\0\0\2\0\0\0\3abcdefghijkl", 28));
    write_gzip(folder_ / folder / "t10k-labels-idx1-ubyte.gz", std::string("\0\0\10\1\0\0\0\2\1\0", 10));
    const CaseTable table = load();
    ASSERT_EQ(table.cases.size(), 2u);
    EXPECT_EQ(table.cases[0].positives, (std::vector<std::int32_t>{1}));
    const Image second = read_benchmark_image(table.images[1]);
    EXPECT_EQ(second.width, 3);
    EXPECT_EQ(second.pixels[0], 'g');
    EXPECT_EQ(second.pixels.back(), 'l');
    const std::string whole = read_range(images, {.offset = 0, .size = std::filesystem::file_size(images)});
    // Python's gzip reads members one after the other, with zeros in between, and nothing else behind them.
    const std::string header("\0\0\10\3\0\0\0\2\0\0\0\2\0\0\0\3", 16);
    write_gzip(images, header + "abc");
    const std::string first = read_range(images, {.offset = 0, .size = std::filesystem::file_size(images)});
    write_gzip(images, "defghijkl");
    const std::string second_part =
        read_range(images, {.offset = 0, .size = std::filesystem::file_size(images)});
    write_text(images, first + std::string(5, '\0') + second_part + std::string(512, '\0'));
    EXPECT_EQ(read_benchmark_image(load().images[1]).pixels.back(), 'l');
    write_text(images, first + second_part + "trailing");
    expect_error(ExitCode::kInput, {"t10k-images-idx3-ubyte.gz", "damaged or cut"}, [&] { load(); });
    write_text(images, header + "abcdefghijkl");
    expect_error(ExitCode::kInput, {"t10k-images-idx3-ubyte.gz", "not compressed", "take .gz off"},
                 [&] { load(); });
    write_text(images, whole.substr(0, whole.size() - 9));
    expect_error(ExitCode::kInput, {"t10k-images-idx3-ubyte.gz", "damaged or cut"}, [&] { load(); });
    std::filesystem::remove(images);
  }
}

TEST_F(Zeroshot, ReadsCifarWhereItsArchiveUnpacksIt) {
  write_names("cat\ndog\n");
  write_text(folder_ / "cifar-10-binary.tar.gz", "an archive");
  expect_error(ExitCode::kInput, {"cifar-10-binary.tar.gz", "tar xzf"}, [&] { load(); });
  write_text(folder_ / "cifar-10-batches-bin" / "test_batch.bin",
             std::string(1, '\1') + std::string(3072, 'x'));
  EXPECT_EQ(load().cases[0].id, "cifar-10-batches-bin/test_batch.bin:0");
}

TEST_F(Zeroshot, RefusesStrayFoldersFilesAndTemplates) {
  write_folders();
  put_image(folder_ / "dog" / "x.png");
  expect_error(ExitCode::kInput, {"dog", "is not a class"}, [&] { load(); });
  std::filesystem::remove_all(folder_ / "dog");
  std::filesystem::remove_all(folder_ / "cat");
  expect_error(ExitCode::kInput, {"class 'cat'"}, [&] { load(); });
  write_names("cat\n", "a photo of a {class}\n");
  expect_error(ExitCode::kInput, {"templates.txt: line 1", "{c}"}, [&] { load(); });
  write_names("", "{c}\n");
  expect_error(ExitCode::kInput, {"classnames.txt", "no class name"}, [&] { load(); });
  write_names("c\xff\n", "{c}\n");
  expect_error(ExitCode::kInput, {"classnames.txt: line 1", "UTF-8"}, [&] { load(); });
}

// Six classes, three images, worked by hand.
TEST_F(Zeroshot, JudgesTopOneTopFiveAndClassRecall) {
  write_names("a\nb\nc\nd\ne\nf\n");
  for (const char* name : {"a/1.png", "a/2.png", "a/3.png", "f/4.png"}) put_image(folder_ / name);
  for (const char* name : {"b", "c", "d", "e"}) std::filesystem::create_directories(folder_ / name);
  const CaseTable table = load();
  CaseScores scores(table);
  set_scores(scores, 0, {{9, 1, 2, 3, 4, 5}});  // first
  set_scores(scores, 1, {{5, 5, 1, 2, 3, 4}});  // ties with b: not first, among five
  set_scores(scores, 2, {{0, 1, 2, 3, 4, 5}});  // last
  set_scores(scores, 3, {{1, 2, 2, 2, 2, 2}});  // f ties with four others for the first five places
  const std::vector<MetricMarks> marks = find_benchmark("zeroshot").judge(table, scores);
  EXPECT_EQ(find_marks(marks, "zeroshot/acc1")->mark, (std::vector<double>{1, 0, 0, 0}));
  EXPECT_EQ(find_marks(marks, "zeroshot/acc1")->ties, 2);
  EXPECT_EQ(find_marks(marks, "zeroshot/acc5")->mark, (std::vector<double>{1, 1, 0, 1}));
  EXPECT_EQ(find_marks(marks, "zeroshot/acc5")->ties, 0);
  // Class a 1/3, class f 0; classes without images are not averaged.
  EXPECT_DOUBLE_EQ(metric_value(*find_marks(marks, "zeroshot/mean_per_class_recall")), 1.0 / 6);
}

TEST_F(Zeroshot, CountsATieForTheFifthPlaceAsAMiss) {
  write_names("a\nb\nc\nd\ne\nf\n");
  for (const char* name : {"a", "b", "c", "d", "e", "f"}) std::filesystem::create_directories(folder_ / name);
  put_image(folder_ / "a" / "1.png");
  const CaseTable table = load();
  CaseScores scores(table);
  set_scores(scores, 0, {{1, 9, 8, 7, 6, 1}});
  const std::vector<MetricMarks> marks = find_benchmark("zeroshot").judge(table, scores);
  EXPECT_EQ(find_marks(marks, "zeroshot/acc5")->mark, (std::vector<double>{0}));
  EXPECT_EQ(find_marks(marks, "zeroshot/acc5")->ties, 1);
}

TEST_F(Zeroshot, OneClassIsAlwaysRightAndHasNoTopFive) {
  write_names("only\n");
  put_image(folder_ / "only" / "1.png");
  const CaseTable table = load();
  CaseScores scores(table);
  const std::vector<MetricMarks> marks = find_benchmark("zeroshot").judge(table, scores);
  EXPECT_EQ(metric_value(*find_marks(marks, "zeroshot/acc1")), 1);
  EXPECT_EQ(find_marks(marks, "zeroshot/acc5"), nullptr);
}

}  // namespace
}  // namespace sdsclip
