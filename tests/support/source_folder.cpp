#include <gtest/gtest.h>

#include <filesystem>

namespace {

/// Tests name files of the sources, such as `models/shapes-clip`, whatever folder they are started in.
class SourceFolder : public testing::Environment {
 public:
  void SetUp() override { std::filesystem::current_path(SDSCLIP_SOURCE_FOLDER); }
};

[[maybe_unused]] const testing::Environment* const kSourceFolder =
    testing::AddGlobalTestEnvironment(new SourceFolder);

}  // namespace
