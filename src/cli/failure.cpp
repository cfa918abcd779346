#include "failure.h"

#include <c10/util/Exception.h>

#include <exception>
#include <filesystem>
#include <new>
#include <string>
#include <system_error>

namespace sdsclip {
namespace {

/// The first line of LibTorch's message: the rest is a stack.
std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

Error current_failure() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return runtime_failure("out of memory; use smaller micro-batches or fewer workers");
  } catch (const std::filesystem::filesystem_error& error) {
    const bool full =
        error.code() == std::errc::no_space_on_device || error.code() == std::errc::file_too_large;
    return Error(full ? ExitCode::kRuntime : ExitCode::kInput, error.what());
  } catch (const c10::OutOfMemoryError& error) {
    return runtime_failure("out of memory: {}; use smaller micro-batches",
                           first_line(error.what_without_backtrace()));
  } catch (const c10::Error& error) {
    return runtime_failure("LibTorch failed: {}", first_line(error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return runtime_failure("{}", first_line(error.what()));
  }
}

}  // namespace sdsclip
