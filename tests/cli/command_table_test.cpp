#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <regex>

#include "command_line.h"
#include "sdsclip/cli/commands.h"
#include "support/expect_error.h"

namespace sdsclip {
namespace {

using testing::expect_error;

const CommandDescription& command(const std::vector<CommandDescription>& commands, const std::string& name) {
  return *std::find_if(commands.begin(), commands.end(), [&](const auto& each) { return each.name == name; });
}

const ArgumentDescription* argument(const CommandDescription& command, const std::string& name) {
  for (const ArgumentDescription& each : command.arguments) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

TEST(DescribeCommands, SaysNameTypeDefaultAndTextOfEveryArgument) {
  const std::vector<CommandDescription> commands = describe_commands();
  const CommandDescription& score = command(commands, "diffusion-score");
  const ArgumentDescription* samples = argument(score, "--samples");
  ASSERT_NE(samples, nullptr);
  EXPECT_EQ(samples->kind, "integer from 1 to 1000000");
  EXPECT_EQ(samples->default_value, "50");
  const ArgumentDescription* norm = argument(score, "--norm");
  ASSERT_NE(norm, nullptr);
  EXPECT_EQ(norm->choices, (std::vector<std::string>{"l2", "l1", "l2_unsquared"}));
  EXPECT_EQ(norm->default_value, "l2");
  const ArgumentDescription* confidence = argument(score, "--confidence");
  ASSERT_NE(confidence, nullptr);
  EXPECT_EQ(confidence->needs, "--adaptive");
  EXPECT_TRUE(argument(command(commands, "bundle verify"), "bundle")->is_positional);
}

TEST(DescribeCommands, HasASentenceForEveryArgumentAndCommand) {
  // "pairs a step" and "of every draw" are what the project's texts once said.
  const std::regex riddle("^(of|that|which|between) |s a (step|time|pair|line|core|point|match)\\b");
  for (const CommandDescription& each : describe_commands()) {
    EXPECT_TRUE(each.summary.ends_with(".")) << each.name;
    for (const ArgumentDescription& text : each.arguments) {
      if (text.is_hidden) continue;
      EXPECT_TRUE(text.doc.ends_with(".")) << each.name << " " << text.name << ": " << text.doc;
      EXPECT_FALSE(std::regex_search(text.doc, riddle)) << each.name << " " << text.name << ": " << text.doc;
    }
  }
}

TEST(DescribeCommands, ListsOnlyWhatACommandReads) {
  const std::vector<CommandDescription> commands = describe_commands();
  for (const std::string name : {"report", "compare", "bundle inspect", "data check", "tokenize"}) {
    for (const std::string flag : {"--seed", "--precision", "--device", "--threads"}) {
      const ArgumentDescription* accepted = argument(command(commands, name), flag);
      ASSERT_NE(accepted, nullptr) << name << flag;
      EXPECT_TRUE(accepted->is_hidden) << name << flag;
    }
    EXPECT_FALSE(argument(command(commands, name), "--quiet")->is_hidden);
  }
  EXPECT_FALSE(argument(command(commands, "eval"), "--device")->is_hidden);
  EXPECT_TRUE(argument(command(commands, "eval"), "--seed")->is_hidden);
  EXPECT_FALSE(argument(command(commands, "train"), "--seed")->is_hidden);
}

enum class Colour { kRed, kBlue };
constexpr std::array<std::string_view, 2> kColourNames = {"red", "blue"};

struct Inner {
  std::int64_t least_size = 4;
  double share = 0.5;
};
struct Outer {
  Inner inner;
  bool is_loud = false;
  Colour colour = Colour::kRed;
  std::int64_t batch = kAuto;
};

void visit_options(OptionVisitor& visitor, Inner& options) {
  visitor.count("least_size", options.least_size, {2}, "Size.");
  visitor.option("share", options.share, "Share.");
}
void visit_options(OptionVisitor& visitor, Outer& options) {
  visitor.section("inner", options.inner, "Inner.");
  visitor.option("is_loud", options.is_loud, "Loud.");
  visitor.choice("colour", options.colour, kColourNames, "Colour.");
  visitor.count_or_auto("batch", options.batch, "Batch.");
}

TEST(CommandLine, BindsTheChosenOptionsOfAStructToFlags) {
  Outer options;
  CommandLine line;
  line.flags_of(options, {{"inner.least_size"}, {"colour", "--color"}, {"batch"}});
  const std::vector<Argument> arguments = line.take();
  ASSERT_EQ(arguments.size(), 3);
  EXPECT_EQ(arguments[0].description.name, "--least-size");
  EXPECT_EQ(arguments[0].description.default_value, "4");
  EXPECT_EQ(arguments[1].description.name, "--color");
  EXPECT_EQ(arguments[2].description.default_value, "auto");
  arguments[0].set({"9"});
  arguments[1].set({"blue"});
  arguments[2].set({"16"});
  EXPECT_EQ(options.inner.least_size, 9);
  EXPECT_EQ(options.colour, Colour::kBlue);
  EXPECT_EQ(options.batch, 16);
}

TEST(CommandLine, NamesTheFlagOfAWrongValue) {
  Outer options;
  CommandLine line;
  line.flags_of(options, {{"inner.least_size"}, {"inner.share"}, {"colour"}});
  const std::vector<Argument> arguments = line.take();
  for (const char* wrong : {"many", "1", "2.5", "", "0x10", "99999999999999999999"}) {
    expect_error(ExitCode::kUsage, {"--least-size: got '" + std::string(wrong) + "'", "integer of 2 or more"},
                 [&] { arguments[0].set({wrong}); });
  }
  for (const char* wrong : {"half", "inf", "nan", "1e999"}) {
    expect_error(ExitCode::kUsage, {"--share", wrong, "a finite number"}, [&] { arguments[1].set({wrong}); });
  }
  expect_error(ExitCode::kUsage, {"--colour", "'blu'", "red, blue", "did you mean 'blue'"},
               [&] { arguments[2].set({"blu"}); });
  EXPECT_EQ(options.inner.least_size, 4);
}

}  // namespace
}  // namespace sdsclip
