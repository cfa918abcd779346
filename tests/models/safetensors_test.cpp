#include "sdsclip/models/safetensors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/script.h>

#include <cstring>
#include <ctime>

#include "sdsclip/base/files.h"
#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

std::string with_header(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

void expect_refused(const std::string& bytes, const std::string& part) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "x.safetensors", bytes);
  expect_error(ExitCode::kInput, {"x.safetensors", part},
               [&] { read_safetensors(folder / "x.safetensors"); });
}

TEST(Safetensors, ReadBackWhatWasWritten) {
  const TemporaryFolder folder;
  const NamedTensors tensors = {{"b", torch::randn({2, 3})},
                                {"a", torch::randn({3, 2}).t()},  // not contiguous
                                {"scalar", torch::tensor(2.5F)},
                                {"none", torch::empty({0, 4})},
                                {"half", torch::randn({5}).to(at::kBFloat16)},
                                {"ids", torch::arange(4)}};
  write_safetensors(folder / "x", tensors, {{"format", "pt"}});
  const SafetensorsFile file = read_safetensors(folder / "x");
  EXPECT_EQ(file.metadata.at("format"), "pt");
  ASSERT_EQ(file.tensors.size(), tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(file.tensors[i].first, tensors[i].first);
    EXPECT_TRUE(torch::equal(file.tensors[i].second, tensors[i].second)) << tensors[i].first;
  }
}

TEST(Safetensors, ReadTheExampleOfTheSpecification) {
  const TemporaryFolder folder;
  const float values[2] = {1.0F, -2.0F};
  const std::string data(reinterpret_cast<const char*>(values), sizeof values);
  write_file_atomically(folder / "x",
                        with_header(R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", data));
  const at::Tensor tensor = read_safetensors(folder / "x").at("t", folder / "x");
  EXPECT_TRUE(torch::equal(tensor, torch::tensor({1.0F, -2.0F})));
}

TEST(Safetensors, RefuseDamagedFiles) {
  expect_refused("", "expected a safetensors file");
  expect_refused(std::string(8, '\xff'), "truncated");
  expect_refused(with_header("nothing", ""), "not JSON");
  expect_refused(with_header(R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "1234"),
                 "outside the file");
  expect_refused(with_header(R"({"t":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", "12345678"),
                 "expected 12");
  expect_refused(with_header(R"({"t":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}})", "12345678"), "F99");
  expect_refused(with_header(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "12345678"),
                 "begins at byte 4");
  expect_refused(with_header(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "12345678"),
                 "8 bytes of data");
  expect_refused(with_header(R"({"t":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "1234"),
                 "natural number");
  expect_refused(
      with_header(R"({"t":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,0]}})", ""),
      "too large");
}

TEST(Safetensors, RefuseImpossibleShapes) {
  for (const std::string shape :
       {"[0,9223372036854775808]", "[9223372036854775808,0]", "[0,18446744073709551615]",
        "[0,4294967296,4294967296]", "[1e3]", "[3.0]", "[true]", "[\"2\"]", "[null]"}) {
    expect_refused(with_header(R"({"t":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":[0,0]}})", ""),
                   "'t'");
  }
  std::string many = "1";
  for (int i = 0; i < 100; ++i) many += ",1";
  expect_refused(
      with_header(R"({"t":{"dtype":"F32","shape":[)" + many + R"(],"data_offsets":[0,4]}})", "1234"), "'t'");
}

TEST(Safetensors, RefuseBooleansOtherThanZeroAndOne) {
  expect_refused(with_header(R"({"t":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", "\1\2"), "'t'");
}

TEST(Safetensors, RefuseAmbiguousAndMistypedHeaders) {
  const std::string entry = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  expect_refused(with_header("{\"t\":" + entry + ",\"t\":" + entry + "}", "1234"), "'t' is given twice");
  expect_refused(with_header("[1]", ""), "expected an object");
  expect_refused(with_header(R"({"__metadata__":"text"})", ""), "expected an object");
  expect_refused(with_header(R"({"__metadata__":{"a":1}})", ""), "__metadata__.a");
  expect_refused(with_header(std::string(3000, '['), ""), "nested more than");
  expect_refused(
      with_header(R"({"a":)" + entry + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})", "123456"),
      "begins at byte 2");
}

TEST(Safetensors, TakeTimeInProportionToTheNumberOfTensors) {
  const TemporaryFolder folder;
  NamedTensors tensors;
  for (int i = 0; i < 80'000; ++i) tensors.emplace_back(fmt::format("t{}", i), torch::zeros({0}));
  const std::clock_t start = std::clock();
  write_safetensors(folder / "x", tensors);
  EXPECT_EQ(read_safetensors(folder / "x").tensors.size(), tensors.size());
  EXPECT_LT(std::clock() - start, 10 * CLOCKS_PER_SEC);  // a look-up per name along the others takes minutes
}

TEST(Safetensors, NameAMissingTensor) {
  const TemporaryFolder folder;
  write_safetensors(folder / "x", NamedTensors{{"a", torch::zeros({1})}});
  expect_error(ExitCode::kInput, {"no tensor 'b'"},
               [&] { (void)read_safetensors(folder / "x").at("b", folder / "x"); });
}

}  // namespace
}  // namespace sdsclip
