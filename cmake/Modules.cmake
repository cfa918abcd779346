# A module is one static library of src/<module>/, and may include only the modules named in USES (and theirs). The build
# enforces the order of the modules: a header of a later module is not on an earlier module's include path, because each
# module sees the public headers through one folder of links that holds only what it may use.
#
#   sdsclip_module(losses USES models SOURCES contrastive.cpp sds.cpp LINK sdsclip::torch)
#   sdsclip_test(losses SOURCES contrastive_test.cpp [LINK ...])
set(SDSCLIP_WARNINGS -Wall -Wextra -Wshadow -Wconversion -Werror)
if(SDSCLIP_ASAN)
  list(APPEND SDSCLIP_WARNINGS -Wno-subobject-linkage)  # GCC takes a source file that is included for a header
endif()

# Six frames per allocation instead of 30: LibTorch makes millions of allocations from different stacks, and storing all of these
# took 40% of the tests' processor time. The stack of the fault itself is always whole.
set(SDSCLIP_ASAN_OPTIONS detect_leaks=0:detect_container_overflow=0:malloc_context_size=6)

function(sdsclip_module module)
  cmake_parse_arguments(ARG "TORCH" "" "USES;SOURCES;LINK" ${ARGN})
  set(view "${CMAKE_BINARY_DIR}/module_headers/${module}")
  file(MAKE_DIRECTORY "${view}/sdsclip")
  file(CREATE_LINK "${CMAKE_SOURCE_DIR}/include/sdsclip/${module}" "${view}/sdsclip/${module}" SYMBOLIC)

  add_library(sdsclip_${module} STATIC ${ARG_SOURCES})
  target_compile_options(sdsclip_${module} PRIVATE ${SDSCLIP_WARNINGS})
  target_include_directories(sdsclip_${module} PUBLIC "${view}")
  foreach(other IN LISTS ARG_USES)
    target_link_libraries(sdsclip_${module} PUBLIC sdsclip_${other})
  endforeach()
  target_link_libraries(sdsclip_${module} PUBLIC ${ARG_LINK})
  if(ARG_TORCH)
    target_link_libraries(sdsclip_${module} PUBLIC sdsclip::torch)
    target_precompile_headers(sdsclip_${module} REUSE_FROM sdsclip_torch_pch)
    target_compile_options(sdsclip_${module} PRIVATE -Winvalid-pch)
  endif()
endfunction()

# The option structs of a module as a library of their own, sdsclip_MODULE_options, which links neither LibTorch nor the
# modules in USES: of these it only sees the headers.
function(sdsclip_options module)
  cmake_parse_arguments(ARG "" "" "USES;SOURCES" ${ARGN})
  set(library sdsclip_${module}_options)
  add_library(${library} STATIC ${ARG_SOURCES})
  target_compile_options(${library} PRIVATE ${SDSCLIP_WARNINGS})
  foreach(other IN LISTS ARG_USES ITEMS ${module})
    target_include_directories(${library} PUBLIC "${CMAKE_BINARY_DIR}/module_headers/${other}")
  endforeach()
  target_link_libraries(${library} PUBLIC sdsclip_base)
endfunction()

# One program per module, run by one ctest entry in a random order of its cases. Further arguments of LABELS are ctest labels.
function(sdsclip_test module)
  cmake_parse_arguments(ARG "TORCH" "SUFFIX" "SOURCES;LINK;LABELS" ${ARGN})
  set(name "${module}${ARG_SUFFIX}_test")
  add_executable(${name} ${ARG_SOURCES})
  target_compile_options(${name} PRIVATE ${SDSCLIP_WARNINGS} $<$<CONFIG:Release>:-O1>)
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}/tests")
  target_link_libraries(${name} PRIVATE sdsclip_${module} sdsclip_test_support sdsclip_test_in_sources ${ARG_LINK}
    GTest::gtest_main)
  # One compiler run per five files, since most of its time goes to the same headers.
  set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 5)
  if(ARG_TORCH)
    # Programs are compiled with -fPIE by default, which the libraries' precompiled header was not.
    target_precompile_headers(${name} REUSE_FROM sdsclip_torch_pch)
    target_compile_options(${name} PRIVATE -fPIC)
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF BUILD_RPATH "${SDSCLIP_TORCH_LIBRARY_DIR}")
  endif()
  add_test(NAME ${module}${ARG_SUFFIX} COMMAND ${name} --gtest_shuffle --gtest_brief=1
    WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
  set_tests_properties(${module}${ARG_SUFFIX} PROPERTIES LABELS "fast;${ARG_LABELS}"
    # One thread each: two that wait for each other on a busy machine take many times as long.
    ENVIRONMENT "OMP_NUM_THREADS=1;ASAN_OPTIONS=${SDSCLIP_ASAN_OPTIONS}")
  # Each test is an entry too, for `ctest -R base.Sha256`. The default run leaves them out: LibTorch takes 0.4 s of
  # processor time to start, and each process would draw the worlds that the tests of one program share.
  if(NOT SDSCLIP_ASAN)
    gtest_discover_tests(${name} TEST_PREFIX "${module}${ARG_SUFFIX}." WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}"
      DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 300 PROPERTIES LABELS single ENVIRONMENT OMP_NUM_THREADS=1)
  endif()
endfunction()
