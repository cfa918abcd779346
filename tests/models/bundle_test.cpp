#include "sdsclip/models/bundle.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "sdsclip/base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;

/// A copy of the shipped student that a test may damage.
class CopiedBundle {
 public:
  CopiedBundle() { fs::copy("models/shapes-clip", folder(), fs::copy_options::recursive); }

  [[nodiscard]] fs::path folder() const { return temporary_ / "bundle"; }

  template <typename Change>
  void change_json(Change&& change) {
    nlohmann::json document = nlohmann::json::parse(read_file(folder() / "bundle.json"));
    change(document);
    write_file_atomically(folder() / "bundle.json", document.dump(1));
  }

 private:
  testing::TemporaryFolder temporary_;
};

TEST(ReadBundle, ReadsTheShippedModels) {
  const Bundle clip = read_bundle("models/shapes-clip", BundleKind::kClip);
  EXPECT_GT(clip.embed_dim, 0);
  EXPECT_TRUE(clip.files.contains("clip.ts"));
  verify_bundle(clip);
  const Bundle teacher = read_bundle("models/shapes-teacher", BundleKind::kTeacher);
  EXPECT_EQ(teacher.schedule.train_timesteps, 1000);
  verify_bundle(teacher);
}

TEST(ReadBundle, OfAMissingFolderNamesTheExporter) {
  expect_error(ExitCode::kUsage, {"/nowhere", "export_clip.py"}, [] { read_bundle("/nowhere"); });
}

TEST(ReadBundle, OfTheOtherKindIsWrongUsage) {
  expect_error(ExitCode::kUsage, {"'clip'", "expected 'teacher'"},
               [] { read_bundle("models/shapes-clip", BundleKind::kTeacher); });
}

TEST(ReadBundle, NamesAMissingFile) {
  const CopiedBundle copy;
  fs::remove(copy.folder() / "clip.ts");
  expect_error(ExitCode::kInput, {"clip.ts", "missing"}, [&] { read_bundle(copy.folder()); });
}

TEST(ReadBundle, NamesAFileOfAnotherSize) {
  const CopiedBundle copy;
  std::ofstream(copy.folder() / "clip.ts", std::ios::app) << "x";
  expect_error(ExitCode::kInput, {"clip.ts", "bytes, expected"}, [&] { read_bundle(copy.folder()); });
}

TEST(VerifyBundle, NamesAFileOfAnotherContent) {
  const CopiedBundle copy;
  const fs::path archive = copy.folder() / "clip.ts";
  std::string bytes = read_file(archive);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file_atomically(archive, bytes);
  const Bundle bundle = read_bundle(copy.folder());
  expect_error(ExitCode::kInput, {"clip.ts", "SHA-256", "expected"}, [&] { verify_bundle(bundle); });
}

TEST(ReadBundle, RefusesWhatIsNotJson) {
  const CopiedBundle copy;
  write_file_atomically(copy.folder() / "bundle.json", "{\"format\": ");
  expect_error(ExitCode::kInput, {"bundle.json:1", "not JSON"}, [&] { read_bundle(copy.folder()); });
}

TEST(ReadBundle, RefusesAnotherFormatVersionOrUnknownKey) {
  CopiedBundle copy;
  copy.change_json([](nlohmann::json& document) { document["version"] = 2; });
  expect_error(ExitCode::kInput, {"version '2'"}, [&] { read_bundle(copy.folder()); });
  copy.change_json([](nlohmann::json& document) {
    document["version"] = 1;
    document["embed_dimm"] = 3;
  });
  expect_error(ExitCode::kInput, {"unknown key 'embed_dimm'", "'embed_dim'"},
               [&] { read_bundle(copy.folder()); });
}

TEST(ReadBundle, RefusesWrongKindsAndValues) {
  CopiedBundle copy;
  copy.change_json([](nlohmann::json& document) { document["embed_dim"] = "64"; });
  expect_error(ExitCode::kInput, {"embed_dim", "an integer"}, [&] { read_bundle(copy.folder()); });
  copy.change_json([](nlohmann::json& document) {
    document["embed_dim"] = 64;
    document["image"]["std"] = {0.5, 0.5};
  });
  expect_error(ExitCode::kInput, {"image.std", "3"}, [&] { read_bundle(copy.folder()); });
}

TEST(ReadBundle, RefusesAFileNameThatLeavesTheFolder) {
  CopiedBundle copy;
  copy.change_json(
      [](nlohmann::json& document) { document["files"]["../x"] = document["files"]["clip.ts"]; });
  expect_error(ExitCode::kInput, {"../x", "without a folder"}, [&] { read_bundle(copy.folder()); });
}

}  // namespace
}  // namespace sdsclip
