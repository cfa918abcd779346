#pragma once

#include <string>

#include "sdsclip/base/filesystem.h"

namespace sdsclip {

/// A bundle as named on the command line or in a configuration: a folder, or the name of one below
/// SDSCLIP_MODELS (default `models`). Where neither is there, a name means the latter, and opening it says
/// how to make it.
fs::path bundle_path(const std::string& name);

/// `data` if it is given, else SDSCLIP_DATA/BENCHMARK (default `data/BENCHMARK`). Throws `Error(kUsage)` that
/// names the preparation command where nothing is there.
fs::path data_path(const std::string& data, const std::string& benchmark);

/// A configuration as named on the command line: a file, or the name of one in `configs/` beside the program
/// or in its installed place, with or without `.yaml`. Throws `Error(kUsage)` that lists the known names.
fs::path config_path(const std::string& name);

}  // namespace sdsclip
