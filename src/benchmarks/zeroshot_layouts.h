#pragma once

#include <string>
#include <vector>

#include "case_table_builder.h"
#include "sdsclip/base/filesystem.h"
#include "sdsclip/benchmarks/benchmark.h"

// The supported layouts of zero-shot classification sets. Each loader adds one case per image in a fixed
// order, with the class's row as its only positive. All throw `Error(kInput)` that names file and record.
namespace sdsclip {

/// Reads `classnames.txt`: one class per line in the order of labels; an empty line is a class without a
/// name.
std::vector<std::string> read_class_names(const fs::path& data);

/// Adds an image of class `label`, or counts it as skipped if it is missing.
void add_labelled_image(CaseTableBuilder& builder, BenchmarkImage image, std::int32_t label,
                        const std::string& where);

/// DIR/<class>/**: the class name with spaces or `_`, or the folder in `folders.txt`. Like torchvision's
/// `ImageFolder`, it walks into folders inside a class and skips files without an image ending. It also skips
/// hidden files and `__MACOSX`.
void load_image_folder(CaseTableBuilder& builder, const fs::path& data,
                       const std::vector<std::string>& class_names);

/// CLIP_benchmark's WebDataset layout: DIR/test/nshards.txt and DIR/test/{0..n-1}.tar with KEY.cls beside
/// KEY.jpg.
bool is_webdataset(const fs::path& data);
void load_webdataset(CaseTableBuilder& builder, const fs::path& data, std::size_t classes);

/// CIFAR-10's test_batch.bin (a label, then 3x32x32 bytes) or CIFAR-100's test.bin (coarse and fine label,
/// then pixels), in DIR or in the folder that their archive unpacks to.
bool is_cifar(const fs::path& data);
void load_cifar(CaseTableBuilder& builder, const fs::path& data, std::size_t classes);

/// Throws `Error(kInput)` with instructions if DIR holds an archive of CIFAR or its Python version.
void refuse_other_archives(const fs::path& data);

/// MNIST's t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, also with .gz as published.
bool is_mnist(const fs::path& data);
void load_mnist(CaseTableBuilder& builder, const fs::path& data, std::size_t classes);

}  // namespace sdsclip
