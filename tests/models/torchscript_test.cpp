#include "torchscript.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace sdsclip {
namespace {

class Archive : public ::testing::Test {
 protected:
  /// Loads a module of these methods.
  torch::jit::Module load(const std::string& methods) {
    torch::jit::Module module("tiny");
    module.define(methods);
    module.save((folder_ / "tiny.ts").string());
    Bundle bundle;
    bundle.folder = folder_.path();
    return load_archive(bundle, "tiny.ts", {});
  }

  testing::TemporaryFolder folder_;
};

TEST_F(Archive, ConvolvesWithThisProcessesSettingsInsteadOfTheTraces) {
  // As a trace writes it: without determinism, with cuDNN and TensorFloat-32.
  torch::jit::Module module = load(R"(
def forward(self, x, weight):
    if x.size(0) == 1:
        x = torch._convolution(x, weight, None, [2, 1], [1, 0], [1, 1], False, [0, 0], 1, False, False, True, True)
    return x
)");
  EXPECT_EQ(module.get_method("forward").graph()->toString(false).find("_convolution"), std::string::npos);
  const at::Tensor x = at::arange(36, at::kFloat).view({1, 1, 6, 6});
  const at::Tensor weight = at::arange(9, at::kFloat).view({1, 1, 3, 3});
  EXPECT_TRUE(at::equal(call_method(module, "forward", {x, weight}).toTensor(),
                        at::conv2d(x, weight, {}, {2, 1}, {1, 0})));
}

TEST_F(Archive, ReportsAFailureInOneLine) {
  torch::jit::Module module = load(R"(
def forward(self, x):
    return x.view([5])
)");
  testing::expect_error(ExitCode::kRuntime, {"forward", "shape '[5]' is invalid for input of size 3"},
                        [&] { call_method(module, "forward", {at::zeros({3})}); });
}

TEST_F(Archive, DistinguishesOutOfMemoryFromOtherFailures) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "AddressSanitizer has an allocator of its own";
#endif
  torch::jit::Module module = load(R"(
def forward(self, x):
    return x + torch.zeros([70368744177664])
)");
  EXPECT_THROW(call_method(module, "forward", {at::zeros({1})}), c10::OutOfMemoryError);
}

}  // namespace
}  // namespace sdsclip
