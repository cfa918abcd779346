# The target `sdsclip::torch`: LibTorch without its CMake package.
#
# `find_package(Torch)` of the CUDA wheel refuses to configure where the CUDA toolkit is missing, and with C++20 where
# no GPU architecture is named. We compile no device code, so headers and two libraries are enough; the wheel's own
# libraries find the rest through their `$ORIGIN` rpaths. `libtorch_cuda.so` is loaded at run time, and only by a run
# that uses a GPU (src/models/device.cpp), because linking it costs every start 0.4 s and 400 MB.
#
# Looked up in this order: CMAKE_PREFIX_PATH (an unpacked LibTorch), then the project's .venv (the PyPI wheel).
file(GLOB _sdsclip_torch_wheels "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch")

find_path(SDSCLIP_TORCH_INCLUDE_DIR torch/script.h
  PATHS ${CMAKE_PREFIX_PATH} ${_sdsclip_torch_wheels} PATH_SUFFIXES include NO_DEFAULT_PATH)
find_library(SDSCLIP_TORCH_CPU_LIBRARY torch_cpu
  PATHS ${CMAKE_PREFIX_PATH} ${_sdsclip_torch_wheels} PATH_SUFFIXES lib NO_DEFAULT_PATH)
find_library(SDSCLIP_C10_LIBRARY c10
  PATHS ${CMAKE_PREFIX_PATH} ${_sdsclip_torch_wheels} PATH_SUFFIXES lib NO_DEFAULT_PATH)

if(NOT SDSCLIP_TORCH_INCLUDE_DIR OR NOT SDSCLIP_TORCH_CPU_LIBRARY OR NOT SDSCLIP_C10_LIBRARY)
  message(FATAL_ERROR "LibTorch not found: run scripts/setup.sh, or point CMAKE_PREFIX_PATH at an unpacked LibTorch")
endif()

get_filename_component(SDSCLIP_TORCH_LIBRARY_DIR "${SDSCLIP_TORCH_CPU_LIBRARY}" DIRECTORY)
message(STATUS "LibTorch: ${SDSCLIP_TORCH_LIBRARY_DIR}")

# The wheel ships headers of a newer fmt than Debian's spdlog was built for; Debian's must win inside torch's include
# directory too, so a folder that holds nothing but it goes first.
# CMAKE_PREFIX_PATH is left out, as an unpacked LibTorch there has the fmt that must not be found.
find_path(SDSCLIP_FMT_INCLUDE_DIR fmt/format.h NO_CMAKE_PATH NO_CMAKE_ENVIRONMENT_PATH REQUIRED)
set(_sdsclip_fmt_first "${CMAKE_BINARY_DIR}/fmt_first")
file(MAKE_DIRECTORY "${_sdsclip_fmt_first}")
file(CREATE_LINK "${SDSCLIP_FMT_INCLUDE_DIR}/fmt" "${_sdsclip_fmt_first}/fmt" SYMBOLIC)

add_library(sdsclip_torch INTERFACE)
add_library(sdsclip::torch ALIAS sdsclip_torch)
target_include_directories(sdsclip_torch SYSTEM BEFORE INTERFACE
  "${_sdsclip_fmt_first}" "${SDSCLIP_TORCH_INCLUDE_DIR}" "${SDSCLIP_TORCH_INCLUDE_DIR}/torch/csrc/api/include")
target_link_libraries(sdsclip_torch INTERFACE "${SDSCLIP_TORCH_CPU_LIBRARY}" "${SDSCLIP_C10_LIBRARY}")
