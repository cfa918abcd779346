#include "compiled_package.h"

#include <dlfcn.h>
#include <fmt/ranges.h>
#include <torch/version.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <vector>

#include "sdsclip/base/config_tree.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/log.h"
#include "sdsclip/base/options.h"
#include "sdsclip/base/sha256.h"

namespace sdsclip {
namespace {

constexpr std::string_view kPackageFormat = "sdsclip-compiled";
constexpr std::string_view kSchema = "1";
constexpr std::array<std::string_view, 2> kGraphNames = {"step", "score"};

}  // namespace

void visit_options(OptionVisitor& visitor, CompiledPackage& package) {
  visitor.option("format", package.format, "sdsclip-compiled");
  visitor.option("schema", package.schema, "version of the format");
  visitor.choice("graph", package.graph, kGraphNames, "step or score");
  visitor.option("sha256", package.sha256, "SHA-256 of the package");
  visitor.option("unet_sha256", package.unet_sha256, "SHA-256 of the archive with the weights");
  visitor.option("libtorch", package.libtorch, "LibTorch's version");
  visitor.option("device", package.device, "cpu or cuda");
  visitor.option("architecture", package.architecture, "compute capability of the GPU");
  visitor.option("instructions", package.instructions, "instruction sets of the CPU");
  visitor.choice("precision", package.precision, kPrecisionNames, "arithmetic of the UNet");
  visitor.count("batch", package.batch, {1}, "latents at once");
  visitor.option("latent", package.latent, "shape [C, h, w]");
  visitor.option("context", package.context, "shape [L, E]");
  visitor.option("constants", package.constants, "NAME=TENSOR of each constant");
}

namespace {

/// Nothing if the file is of a format that this program does not know.
std::optional<CompiledPackage> read_description(const fs::path& file) {
  const ConfigNode root = parse_json(read_file(file, kSmallFileBytes), file.string());
  const ConfigNode* const format = root.find("format");
  const ConfigNode* const schema = root.find("schema");
  if (format == nullptr || format->text != kPackageFormat || schema == nullptr || schema->text != kSchema) {
    return std::nullopt;
  }
  CompiledPackage package;
  package.file = fs::path(file).replace_extension(".pt2");
  bind_options(root, package, DocumentRole::kInput);
  return package;
}

/// The compute capability of a GPU, such as sm_90. libtorch_cuda is loaded late, so its runtime is asked.
std::string gpu_architecture(c10::DeviceIndex index) {
  using GetAttribute = int (*)(int* value, int attribute, int device);
  constexpr int kMajor = 75;  // cudaDevAttrComputeCapabilityMajor
  const GetAttribute get = reinterpret_cast<GetAttribute>(::dlsym(RTLD_DEFAULT, "cudaDeviceGetAttribute"));
  int major = 0;
  int minor = 0;
  if (get == nullptr || get(&major, kMajor, index) != 0 || get(&minor, kMajor + 1, index) != 0)
    return "unknown";
  return fmt::format("sm_{}{}", major, minor);
}

/// The first instruction set of the list that this CPU does not have; empty if it has all.
std::string missing_instruction(const std::vector<std::string>& instructions) {
  std::ifstream stream("/proc/cpuinfo");
  std::vector<std::string> flags;
  for (std::string line; flags.empty() && std::getline(stream, line);) {
    if (!line.starts_with("flags")) continue;
    std::istringstream words(line);
    for (std::string word; words >> word;) flags.push_back(word);
  }
  for (const std::string& instruction : instructions) {
    if (std::find(flags.begin(), flags.end(), instruction) == flags.end()) return instruction;
  }
  return "";
}

std::string device_name(const Placement& placement) {
  return placement.device.is_cuda() ? "cuda" : "cpu";
}

/// Why a package cannot serve; empty if it can.
std::string mismatch(const CompiledPackage& package, const Bundle& bundle, const Placement& placement,
                     std::int64_t batch) {
  std::string reason;
  const auto check = [&reason](std::string_view what, const auto& got, const auto& wanted) {
    if (reason.empty() && got != wanted)
      reason = fmt::format("its {} is {}, this run's {}", what, got, wanted);
  };
  const auto start = [](const std::string& digest) { return digest.substr(0, 12); };
  const double size = static_cast<double>(bundle.latent.size);
  check("LibTorch", package.libtorch, std::string(TORCH_VERSION));
  check("device", package.device, device_name(placement));
  check("precision", precision_name(package.precision), precision_name(placement.precision));
  check("batch", package.batch, batch);
  check("UNet", start(package.unet_sha256), start(bundle.files.at("unet.ts").sha256));
  check("latent", package.latent,
        std::vector<double>{static_cast<double>(bundle.latent.channels), size, size});
  check("context", package.context,
        std::vector<double>{static_cast<double>(bundle.tokenizer.context_length),
                            static_cast<double>(bundle.context_dim)});
  if (placement.device.is_cuda()) {
    check("GPU", package.architecture, gpu_architecture(placement.device.index()));
  } else if (const std::string missing = missing_instruction(package.instructions); !missing.empty()) {
    check("instruction set", missing, std::string("CPU does not have it"));
  }
  return reason;
}

}  // namespace

std::optional<CompiledPackage> find_package(const Bundle& bundle, const Placement& placement, CompiledUse use,
                                            TeacherGraph graph, std::int64_t batch) {
  if (use == CompiledUse::kOff) return std::nullopt;
  const fs::path folder = bundle.folder / "compiled";
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::string passed_over;
  for (const fs::path& file : files) {
    std::optional<CompiledPackage> package = read_description(file);
    if (package && package->graph != graph) continue;
    const std::string reason =
        package ? mismatch(*package, bundle, placement, batch) : "it has an unknown format";
    if (reason.empty()) return package;
    passed_over += fmt::format("{}{}: {}", passed_over.empty() ? "" : "; ", file.stem().string(), reason);
  }
  if (passed_over.empty() && use != CompiledUse::kRequire) return std::nullopt;
  const std::string advice = fmt::format(
      "`scripts/compile_teacher.py {} --device {} --precision {} --batch {} --graph {}` makes one that fits",
      bundle.folder.string(), device_name(placement), precision_name(placement.precision), batch,
      kGraphNames[static_cast<std::size_t>(graph)]);
  if (passed_over.empty()) passed_over = "there is none for this command";
  if (use == CompiledUse::kRequire) {
    throw usage_error("--compiled: got require, but no package in {} fits ({}); {}", folder.string(),
                      passed_over, advice);
  }
  log_warning("{}: no compiled package fits, so TorchScript is used ({}); {}", folder.string(), passed_over,
              advice);
  return std::nullopt;
}

void verify_package(const CompiledPackage& package) {
  std::error_code ignored;
  const bool is_there = fs::is_regular_file(package.file, ignored);
  const std::string digest = is_there ? sha256_of_file(package.file) : "";
  if (digest == package.sha256) return;
  throw input_error(
      "{}: got {}, expected SHA-256 {} (the .json beside it); the package was changed or damaged: compile it "
      "again with scripts/compile_teacher.py, or remove both files",
      package.file.string(), is_there ? "SHA-256 " + digest : "no file", package.sha256);
}

}  // namespace sdsclip
