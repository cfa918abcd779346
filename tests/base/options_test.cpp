#include "sdsclip/base/options.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "support/expect_error.h"

namespace sdsclip {
namespace {

using testing::expect_error;

enum class Noising { kDdpm, kNone };
constexpr std::array<std::string_view, 2> kNoisingNames = {"ddpm", "none"};

struct Inner {
  double lambda = 0.001;
  Noising noising = Noising::kDdpm;
};

struct Outer {
  std::int64_t steps = 10;
  bool resume = false;
  std::string clip = "models/x";
  std::vector<std::string> names = {"a", "b"};
  std::vector<double> rates = {0.5};
  Inner sds;
};

void visit_options(OptionVisitor& visitor, Inner& options) {
  visitor.option("lambda", options.lambda, "weight");
  visitor.choice("noising", options.noising, kNoisingNames, "how z is noised");
}

void visit_options(OptionVisitor& visitor, Outer& options) {
  visitor.option("steps", options.steps, "how many");
  visitor.option("resume", options.resume, "go on");
  visitor.option("clip", options.clip, "bundle");
  visitor.option("names", options.names, "names");
  visitor.option("rates", options.rates, "rates");
  visitor.section("sds", options.sds, "the loss");
}

Outer bound(const std::string& yaml) {
  Outer options;
  bind_options(parse_yaml(yaml, "f.yaml"), options);
  return options;
}

TEST(BindOptions, RefusesNumbersThatAreNotFiniteOrFitNoDouble) {
  for (const std::string number : {".inf", "-.inf", "+.inf", ".nan", "1e999", "-1e999", "1e-999"}) {
    expect_error(ExitCode::kUsage, {"f.yaml:1", "sds.lambda", number},
                 [&] { bound("sds: {lambda: " + number + "}"); });
    expect_error(ExitCode::kUsage, {"f.yaml:1", "rates", number},
                 [&] { bound("rates: [1, " + number + "]"); });
  }
  EXPECT_EQ(bound("sds: {lambda: 1e-310}").sds.lambda, 1e-310);
  EXPECT_EQ(bound("sds: {lambda: +1.5}").sds.lambda, 1.5);
}

TEST(ToYaml, KeepsControlCharactersOfTexts) {
  Outer options;
  options.clip = "a\r\x01\x7f\t\n\"b";
  EXPECT_EQ(bound(to_yaml(list_options(options))).clip, options.clip);
}

TEST(BindOptions, ReadsGivenValuesAndKeepsOtherDefaults) {
  const Outer options = bound("steps: 7\nsds:\n  lambda: 2\n  noising: none\nnames: [x]\nrates: [1, 2.5]\n");
  EXPECT_EQ(options.steps, 7);
  EXPECT_EQ(options.sds.lambda, 2.0);
  EXPECT_EQ(options.sds.noising, Noising::kNone);
  EXPECT_EQ(options.names, std::vector<std::string>{"x"});
  EXPECT_EQ(options.rates, (std::vector<double>{1, 2.5}));
  EXPECT_EQ(options.clip, "models/x");
}

TEST(BindOptions, OfAnEmptyDocumentAreTheDefaults) {
  EXPECT_EQ(bound("").steps, 10);
}

TEST(BindOptions, NamesTheNearestKeyForAnUnknownOne) {
  expect_error(ExitCode::kUsage, {"f.yaml:3", "unknown key 'sds.lamda'", "did you mean 'lambda'"},
               [] { bound("steps: 1\nsds:\n  lamda: 2\n"); });
  expect_error(ExitCode::kUsage, {"f.yaml:1", "unknown key 'stepps'", "'steps'"},
               [] { bound("stepps: 1\n"); });
  expect_error(ExitCode::kUsage, {"unknown key 'workers'", "known here: steps, resume"},
               [] { bound("workers: 1\n"); });
}

TEST(BindOptions, NamesFileAndLineOfAWrongKind) {
  expect_error(ExitCode::kUsage, {"f.yaml:1", "steps", "a number (3.7)", "an integer"},
               [] { bound("steps: 3.7\n"); });
  expect_error(ExitCode::kUsage, {"f.yaml:1", "a boolean (true)"}, [] { bound("steps: true\n"); });
  expect_error(ExitCode::kUsage, {"resume", "an integer (1)", "true or false"}, [] { bound("resume: 1\n"); });
  expect_error(ExitCode::kUsage, {"f.yaml:2", "sds.lambda", "text (big)", "a number"},
               [] { bound("sds:\n  lambda: big\n"); });
  expect_error(ExitCode::kUsage, {"sds.noising", "one of ddpm, none"},
               [] { bound("sds: {noising: ddim}\n"); });
  expect_error(ExitCode::kUsage, {"sds", "a map of options"}, [] { bound("sds: 3\n"); });
  expect_error(ExitCode::kUsage, {"clip", "text"}, [] { bound("clip: 42\n"); });
  expect_error(ExitCode::kUsage, {"names", "a list"}, [] { bound("names: a\n"); });
  expect_error(ExitCode::kUsage, {"steps", "64 bits"}, [] { bound("steps: 99999999999999999999\n"); });
  expect_error(ExitCode::kUsage, {"a list", "map of options"}, [] { bound("[1, 2]\n"); });
}

TEST(BindOptions, OfAnInputDocumentIsBadInput) {
  Outer options;
  expect_error(ExitCode::kInput, {"b.json:1", "steps"}, [&] {
    bind_options(parse_json(R"({"steps": "3"})", "b.json"), options, DocumentRole::kInput);
  });
}

struct Batches {
  std::int64_t size = 4;
};
void visit_options(OptionVisitor& visitor, Batches& options) {
  visitor.count_or_auto("size", options.size, "items at a time");
}

TEST(BindOptions, ReadsACountOrAutoAndWritesItBack) {
  const auto bound_size = [](const std::string& yaml) {
    Batches options;
    bind_options(parse_yaml(yaml, "c.yaml"), options);
    return options.size;
  };
  EXPECT_EQ(bound_size("{}"), 4);
  EXPECT_EQ(bound_size("size: 0"), 0);
  EXPECT_EQ(bound_size("size: auto"), kAuto);
  EXPECT_EQ(bound_size(to_yaml(list_options(Batches{kAuto}))), kAuto);
  EXPECT_EQ(list_options(Batches{kAuto}).front().value, "auto");
  for (const char* wrong : {"size: automatic", "size: -1", "size: 1.5", "size: [1]"}) {
    expect_error(ExitCode::kUsage, {"c.yaml:1", "size"}, [&] { bound_size(wrong); });
  }
}

struct Ranged {
  std::int64_t steps = 1;
  double rate = 0.5;
  double decay = 0;
};
void visit_options(OptionVisitor& visitor, Ranged& options) {
  visitor.count("steps", options.steps, {1, 100}, "how many");
  visitor.number("rate", options.rate, {.least = 0, .most = 1, .without_least = true, .without_most = true},
                 "how much");
  visitor.number("decay", options.decay, {.least = 0}, "how fast");
}

TEST(BindOptions, NamesFileAndLineOfAValueOutOfItsRange) {
  const auto bound_ranged = [](const std::string& yaml) {
    Ranged options;
    bind_options(parse_yaml(yaml, "r.yaml"), options);
    return options;
  };
  expect_error(ExitCode::kUsage, {"r.yaml:2: steps", "an integer (101)", "an integer from 1 to 100"},
               [&] { bound_ranged("rate: 0.1\nsteps: 101\n"); });
  for (const char* wrong : {"rate: 0", "rate: 1", "rate: -0.1", "rate: 2"}) {
    expect_error(ExitCode::kUsage, {"r.yaml:1: rate", "a number above 0 and below 1"},
                 [&] { bound_ranged(wrong); });
  }
  expect_error(ExitCode::kUsage, {"r.yaml:1: decay", "a number of 0 or more"},
               [&] { bound_ranged("decay: -1e-9"); });
  EXPECT_EQ(bound_ranged("steps: 100\nrate: 0.999\ndecay: 0").steps, 100);
}

TEST(CheckRanges, NamesTheOptionOfAValueThatNoDocumentGave) {
  check_ranges(Ranged{});
  expect_error(ExitCode::kUsage, {"train.steps: got 0, expected an integer from 1 to 100"},
               [] { check_ranges(Ranged{.steps = 0}, "train"); });
  expect_error(ExitCode::kUsage, {"rate: got nan, expected a number above 0"},
               [] { check_ranges(Ranged{.rate = std::numeric_limits<double>::quiet_NaN()}); });
  check_ranges(Batches{kAuto});
  expect_error(ExitCode::kUsage, {"size: got -2"}, [] { check_ranges(Batches{-2}); });
}

TEST(ToYaml, ReadsBackToTheSameValues) {
  Outer options;
  options.clip = "a \"quoted\" # path: x";
  options.sds.lambda = 1.0 / 3.0;
  options.sds.noising = Noising::kNone;
  for (const bool with_docs : {false, true}) {
    const Outer again = bound(to_yaml(list_options(options), with_docs));
    EXPECT_EQ(again.clip, options.clip);
    EXPECT_EQ(again.sds.lambda, options.sds.lambda);
    EXPECT_EQ(again.sds.noising, options.sds.noising);
    EXPECT_EQ(again.names, options.names);
  }
}

TEST(ListOptions, DescribesEveryOption) {
  const std::vector<OptionDescription> list = list_options(Outer{});
  ASSERT_EQ(list.size(), 8U);
  EXPECT_EQ(list[6].path, "sds.lambda");
  EXPECT_EQ(list[6].value, "0.001");
  EXPECT_EQ(list[7].kind, "ddpm | none");
  EXPECT_EQ(list[7].doc, "how z is noised");
}

}  // namespace
}  // namespace sdsclip
