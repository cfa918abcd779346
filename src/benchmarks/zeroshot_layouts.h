#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "case_table_builder.h"
#include "sdsclip/benchmarks/benchmark.h"

// The layouts in which zero-shot classification sets come. Each loader adds one case an image, in a fixed
// order, the class's row as its only positive; all throw `Error(kInput)` that names file and record.
namespace sdsclip {

/// `classnames.txt`: the classes in the order of their labels, one line each; an empty line is a class
/// without a name.
std::vector<std::string> read_class_names(const std::filesystem::path& data);

/// Adds an image of class `label`, or counts it as skipped.
void add_labelled_image(CaseTableBuilder& builder, BenchmarkImage image, std::int32_t label,
                        const std::string& where);

/// DIR/<class>/**, the class with spaces as `_` or as they are, or as `folders.txt` says. As torchvision's
/// `ImageFolder`: folders inside a class are walked into, files without an image's ending passed over. Hidden
/// files and `__MACOSX` are passed over too.
void load_image_folder(CaseTableBuilder& builder, const std::filesystem::path& data,
                       const std::vector<std::string>& class_names);

/// CLIP_benchmark's WebDataset layout: DIR/test/nshards.txt, DIR/test/{0..n-1}.tar with KEY.cls beside
/// KEY.jpg.
bool is_webdataset(const std::filesystem::path& data);
void load_webdataset(CaseTableBuilder& builder, const std::filesystem::path& data, std::size_t classes);

/// In the folder, or in the one that their archive unpacks to: CIFAR-10's test_batch.bin (a label, then
/// 3x32x32 bytes) or CIFAR-100's test.bin (coarse and fine label, then pixels).
bool is_cifar(const std::filesystem::path& data);
void load_cifar(CaseTableBuilder& builder, const std::filesystem::path& data, std::size_t classes);

/// Throws `Error(kInput)` that says what to do with an archive of CIFAR or its Python version.
void refuse_other_archives(const std::filesystem::path& data);

/// MNIST's t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, or these with .gz as they are published.
bool is_mnist(const std::filesystem::path& data);
void load_mnist(CaseTableBuilder& builder, const std::filesystem::path& data, std::size_t classes);

}  // namespace sdsclip
