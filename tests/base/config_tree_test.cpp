#include "sdsclip/base/config_tree.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sdsclip/base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using Kind = ConfigNode::Kind;
using testing::expect_error;

Kind yaml_kind(const std::string& scalar) {
  return parse_yaml("x: " + scalar, "t").find("x")->kind;
}

std::string nested_maps(int depth) {
  std::string text;
  for (int i = 0; i < depth; ++i) text += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  return text;
}

TEST(ParseYaml, DistinguishesTheKindsOfScalars) {
  EXPECT_EQ(yaml_kind("3"), Kind::kInteger);
  EXPECT_EQ(yaml_kind("-3"), Kind::kInteger);
  EXPECT_EQ(yaml_kind("3.7"), Kind::kNumber);
  EXPECT_EQ(yaml_kind("5e-5"), Kind::kNumber);
  EXPECT_EQ(yaml_kind(".inf"), Kind::kNumber);
  EXPECT_EQ(yaml_kind("true"), Kind::kBoolean);
  EXPECT_EQ(yaml_kind("yes"), Kind::kText);
  EXPECT_EQ(yaml_kind("'3'"), Kind::kText);
  EXPECT_EQ(yaml_kind("fp32"), Kind::kText);
  EXPECT_EQ(yaml_kind("infinity"), Kind::kText);
  EXPECT_EQ(yaml_kind("~"), Kind::kNull);
  EXPECT_EQ(yaml_kind("[1]"), Kind::kList);
}

TEST(ParseYaml, KnowsTheLineOfEveryNode) {
  const ConfigNode root = parse_yaml("a: 1\nb:\n  c: 2\n", "f.yaml");
  EXPECT_EQ(root.find("b")->find("c")->origin, "f.yaml:3");
}

TEST(ParseYaml, RefusesAKeyThatIsGivenTwice) {
  expect_error(ExitCode::kUsage, {"f.yaml:3", "'a' is given twice", "f.yaml:1"},
               [] { parse_yaml("a: 1\nb: 2\na: 3\n", "f.yaml"); });
}

TEST(ParseYaml, RefusesASecondDocument) {
  expect_error(ExitCode::kUsage, {"f.yaml:2", "second YAML document"},
               [] { parse_yaml("a: 1\n---\na: 2\n", "f.yaml"); });
}

TEST(ParseYaml, NamesTheLineThatDoesNotParse) {
  expect_error(ExitCode::kUsage, {"f.yaml:2", "not YAML"}, [] { parse_yaml("a: 1\nb: [1, }\n", "f.yaml"); });
}

TEST(ParseYaml, RefusesAliasesThatExpandBeyondMemory) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";  // 9^10 values in 500 bytes
  for (int i = 1; i < 10; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += fmt::format("a{0}: &a{0} [{1}, {1}, {1}, {1}, {1}, {1}, {1}, {1}, {1}]\n", i, before);
  }
  expect_error(ExitCode::kUsage, {"f.yaml:", "more than 20000 values"}, [&] { parse_yaml(text, "f.yaml"); });
}

TEST(ParseYaml, ReadsAnAliasAtEveryUse) {
  const ConfigNode root = parse_yaml("a: &x {b: 1}\nc: *x\n", "f.yaml");
  EXPECT_EQ(root.find("c")->find("b")->text, "1");
}

TEST(ParseYaml, RefusesAnAliasOfItself) {
  expect_error(ExitCode::kUsage, {"f.yaml:1", "nested more than"},
               [] { parse_yaml("a: &a [*a]\n", "f.yaml"); });
}

TEST(ParseYaml, RefusesNestingThatWouldOverflowTheStack) {
  for (const std::string& text : {std::string(100'000, '['), std::string(100'000, '{'), nested_maps(1000)}) {
    expect_error(ExitCode::kUsage, {"f.yaml:"}, [&] { parse_yaml(text, "f.yaml"); });
  }
}

TEST(ParseJson, KnowsTheLineOfEveryNodeEvenBeforeALineBreak) {
  const ConfigNode root = parse_json("{\n \"a\": 1,\n \"b\": {\"c\": [1,\n 2\n]}}\n", "f.json");
  EXPECT_EQ(root.find("a")->origin, "f.json:2");
  EXPECT_EQ(root.find("b")->find("c")->items.at(0).origin, "f.json:3");
  EXPECT_EQ(root.find("b")->find("c")->items.at(1).origin, "f.json:4");
}

TEST(ParseJson, DistinguishesKinds) {
  const ConfigNode root = parse_json(R"({"a": 1, "b": 1.0, "c": true, "d": "1", "e": null})", "f.json");
  EXPECT_EQ(root.find("a")->kind, Kind::kInteger);
  EXPECT_EQ(root.find("b")->kind, Kind::kNumber);
  EXPECT_EQ(root.find("c")->kind, Kind::kBoolean);
  EXPECT_EQ(root.find("d")->kind, Kind::kText);
  EXPECT_EQ(root.find("e")->kind, Kind::kNull);
}

TEST(ParseJson, RefusesTextThatIsNotJson) {
  for (const std::string text : {"", "{", "{\"a\": 1,}", "not json", "{\"a\": 1} x"}) {
    expect_error(ExitCode::kInput, {"f.json:1", "not JSON"}, [&] { parse_json(text, "f.json"); });
  }
  expect_error(ExitCode::kInput, {"f.json:2", "'a' is given twice"},
               [] { parse_json("{\"a\": 1,\n\"a\": 2}", "f.json"); });
}

TEST(ParseJson, RefusesNestingThatWouldOverflowTheStack) {
  expect_error(ExitCode::kInput, {"nested"}, [] { parse_json(std::string(100000, '['), "f.json"); });
}

TEST(ReadConfiguration, OverlaysWhatItIncludes) {
  const testing::TemporaryFolder folder;
  write_file_atomically(folder / "base.yaml", "a: 1\nsds: {lambda: 1, samples: 2}\n");
  write_file_atomically(folder / "own.yaml", "include: base.yaml\nsds:\n  lambda: 5\n");
  const ConfigNode root = read_configuration(folder / "own.yaml");
  EXPECT_EQ(root.find("a")->text, "1");
  EXPECT_EQ(root.find("sds")->find("lambda")->text, "5");
  EXPECT_EQ(root.find("sds")->find("samples")->text, "2");
  EXPECT_EQ(root.find("include"), nullptr);
}

TEST(ReadConfiguration, RefusesACircle) {
  const testing::TemporaryFolder folder;
  write_file_atomically(folder / "a.yaml", "include: b.yaml\n");
  write_file_atomically(folder / "b.yaml", "include: a.yaml\n");
  expect_error(ExitCode::kUsage, {"includes itself"}, [&] { read_configuration(folder / "a.yaml"); });
}

TEST(ReadConfiguration, RefusesExponentialIncludes) {
  const testing::TemporaryFolder folder;
  write_file_atomically(folder / "0.yaml", "a: 1\n");
  for (int i = 1; i < 40; ++i) {  // 2^39 readings of the innermost
    write_file_atomically(folder / fmt::format("{}.yaml", i),
                          fmt::format("include: [{0}.yaml, {0}.yaml]\n", i - 1));
  }
  expect_error(ExitCode::kUsage, {"more than 100 files"}, [&] { read_configuration(folder / "39.yaml"); });
}

TEST(ReadConfiguration, RefusesAnIncludedFileThatIsNotAMap) {
  const testing::TemporaryFolder folder;
  write_file_atomically(folder / "own.yaml", "include: base.yaml\nb: 1\n");
  for (const std::string text : {"- a: 1\n", "only words\n", "3\n"}) {
    write_file_atomically(folder / "base.yaml", text);
    expect_error(ExitCode::kUsage, {"base.yaml:1", "expected a map of options"},
                 [&] { read_configuration(folder / "own.yaml"); });
  }
  write_file_atomically(folder / "base.yaml", "# nothing yet\n");
  EXPECT_EQ(read_configuration(folder / "own.yaml").find("b")->text, "1");
}

TEST(ReadConfiguration, RefusesAnIncludeThatIsNotARegularFileOrIsTooLarge) {
  const testing::TemporaryFolder folder;
  write_file_atomically(folder / "own.yaml", "include: /dev/zero\n");
  expect_error(ExitCode::kUsage, {"/dev/zero", "is a device", "included by", "own.yaml"},
               [&] { read_configuration(folder / "own.yaml"); });
  write_file_atomically(folder / "large.yaml", "a: 1 #" + std::string(1 << 20, ' '));
  expect_error(ExitCode::kUsage, {"large.yaml", "more than 1048576 bytes"},
               [&] { read_configuration(folder / "large.yaml"); });
}

TEST(ReadConfiguration, OfAMissingFileIsWrongUsage) {
  expect_error(ExitCode::kUsage, {"/nowhere.yaml"}, [] { read_configuration("/nowhere.yaml"); });
}

TEST(ApplySetting, ReplacesOneValue) {
  ConfigNode root = parse_yaml("sds: {lambda: 1, samples: 2}\n", "f.yaml");
  apply_setting(root, "sds.lambda=1e-4");
  EXPECT_EQ(root.find("sds")->find("lambda")->text, "1e-4");
  EXPECT_EQ(root.find("sds")->find("samples")->text, "2");
  EXPECT_EQ(root.find("sds")->find("lambda")->origin, "--set sds.lambda=1e-4");
}

TEST(ApplySetting, RefusesAnotherForm) {
  ConfigNode root;
  expect_error(ExitCode::kUsage, {"sds.lambda", "key=value"}, [&] { apply_setting(root, "sds.lambda"); });
}

}  // namespace
}  // namespace sdsclip
