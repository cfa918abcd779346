# The target `sdsclip::torch`: LibTorch without its CMake package.
#
# `find_package(Torch)` of the CUDA wheel fails without the CUDA toolkit, and with C++20 without a GPU architecture. No device
# code is compiled here, so headers and two libraries are enough; the wheel's libraries find the rest through their
# `$ORIGIN` rpaths. Only a run that uses a GPU loads `libtorch_cuda.so` (src/models/device.cpp), because linking it
# would cost every start 0.4 s and 400 MB.
#
# The search order is: CMAKE_PREFIX_PATH (an unpacked LibTorch), then the project's .venv (the PyPI wheel).
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

# Debian's spdlog was built for an older fmt than the one in the wheel's headers. Debian's fmt must also win inside
# torch's include directory, so a folder with nothing else comes first. CMAKE_PREFIX_PATH is not searched, because an
# unpacked LibTorch there has the wrong fmt.
find_path(SDSCLIP_FMT_INCLUDE_DIR fmt/format.h NO_CMAKE_PATH NO_CMAKE_ENVIRONMENT_PATH REQUIRED)
set(_sdsclip_fmt_first "${CMAKE_BINARY_DIR}/fmt_first")
file(MAKE_DIRECTORY "${_sdsclip_fmt_first}")
file(CREATE_LINK "${SDSCLIP_FMT_INCLUDE_DIR}/fmt" "${_sdsclip_fmt_first}/fmt" SYMBOLIC)

add_library(sdsclip_torch INTERFACE)
add_library(sdsclip::torch ALIAS sdsclip_torch)
target_include_directories(sdsclip_torch SYSTEM BEFORE INTERFACE
  "${_sdsclip_fmt_first}" "${SDSCLIP_TORCH_INCLUDE_DIR}" "${SDSCLIP_TORCH_INCLUDE_DIR}/torch/csrc/api/include")
target_link_libraries(sdsclip_torch INTERFACE "${SDSCLIP_TORCH_CPU_LIBRARY}" "${SDSCLIP_C10_LIBRARY}")
