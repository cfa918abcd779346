#include "sdsclip/models/bundle.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

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
  explicit CopiedBundle(const std::string& model = "shapes-clip") {
    fs::copy("models/" + model, folder(), fs::copy_options::recursive);
  }

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

TEST(ReadBundle, RefusesTextThatIsNotJson) {
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
  for (const std::string& name : {std::string(".."), std::string("."), std::string(),
                                  std::string("/etc/passwd"), std::string("a\0b", 3)}) {
    CopiedBundle other;
    other.change_json(
        [&](nlohmann::json& document) { document["files"][name] = document["files"]["clip.ts"]; });
    expect_error(ExitCode::kInput, {"files", "without a folder"}, [&] { read_bundle(other.folder()); });
  }
}

TEST(ReadBundle, RefusesImpossibleNumbers) {
  const auto expect_refused = [](const std::string& model, const std::string& key,
                                 const nlohmann::json& value) {
    CopiedBundle copy(model);
    copy.change_json([&](nlohmann::json& document) { document[nlohmann::json::json_pointer(key)] = value; });
    const std::string name = key.substr(key.rfind('/') + 1);
    expect_error(ExitCode::kInput, {"bundle.json", name == "0" ? "image" : name},
                 [&] { read_bundle(copy.folder()); });
  };
  const std::uint64_t beyond = 9223372036854775808U;
  const std::int64_t last = 9223372036854775807;
  for (const char* key : {"/image/size", "/embed_dim", "/tokenizer/context_length", "/tokenizer/vocab_size",
                          "/tokenizer/sot", "/tokenizer/eot", "/tokenizer/pad", "/files/clip.ts/bytes"}) {
    for (const nlohmann::json& value : {nlohmann::json(beyond), nlohmann::json(last), nlohmann::json(-1),
                                        nlohmann::json(3.7), nlohmann::json(true), nlohmann::json(1e30)}) {
      expect_refused("shapes-clip", key, value);
    }
  }
  for (const char* key : {"/schedule/train_timesteps", "/latent/channels", "/latent/size", "/context_dim"}) {
    for (const nlohmann::json& value : {nlohmann::json(beyond), nlohmann::json(last), nlohmann::json(0)}) {
      expect_refused("shapes-teacher", key, value);
    }
  }
  for (const char* key : {"/schedule/beta_start", "/schedule/beta_end", "/latent/scaling_factor"}) {
    for (const nlohmann::json& value : {nlohmann::json(-1.0), nlohmann::json(1e300)}) {
      expect_refused("shapes-teacher", key, value);
    }
  }
  for (const double value : {0.0, -1.0, 1e300}) expect_refused("shapes-clip", "/image/std/0", value);
  expect_refused("shapes-clip", "/image/mean/0", 1e300);
}

TEST(ReadBundle, RefusesFeaturesThatAreNotShapes) {
  for (const char* features : {"7", "[7]", "[[1, 2]]", "[[1, 2, 0]]", "[[1, 2, 9223372036854775808]]",
                               "[[1, 2, 3.5]]", "{\"a\": 1}"}) {
    CopiedBundle copy("shapes-teacher");
    copy.change_json(
        [&](nlohmann::json& document) { document["features"] = nlohmann::json::parse(features); });
    expect_error(ExitCode::kInput, {"bundle.json", "features"}, [&] { read_bundle(copy.folder()); });
  }
}

TEST(ReadBundle, RefusesAPipeWithoutWaiting) {
  const CopiedBundle copy;
  fs::remove(copy.folder() / "bundle.json");
  ASSERT_EQ(::mkfifo((copy.folder() / "bundle.json").c_str(), 0600), 0);
  expect_error(ExitCode::kInput, {"bundle.json", "is a pipe"}, [&] { read_bundle(copy.folder()); });
}

}  // namespace
}  // namespace sdsclip
