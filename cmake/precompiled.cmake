# The standard library, fmt and GoogleTest are parsed once per build folder: that was more than half of the time of a cold build.
#
#   weir_precompiled(TARGET)         the target's sources begin with them
#   weir_precompiled_test(TARGET)    the same with GoogleTest
#
# Sources still include what they use: with -DWEIR_PRECOMPILED=OFF (the tsan build) the compiler checks it.
# ccache takes the text of *.pch.sum for what is in them (CCACHE_PCH_EXTSUM): the file itself names this checkout's path.
option(WEIR_PRECOMPILED "Precompile the headers that most sources include" ON)

set(weir_precompiled_headers <algorithm> <array> <atomic> <charconv> <chrono> <coroutine> <cstddef> <cstdint> <cstring> <deque> <expected>
    <functional> <limits> <map> <memory> <mutex> <optional> <set> <span> <string> <string_view> <thread> <unordered_map> <utility>
    <variant> <vector> <fmt/core.h> <fmt/format.h>)
set(weir_precompiled_test_headers ${weir_precompiled_headers} <fstream> <random> <sstream> <gmock/gmock.h> <gtest/gtest.h>)

function(weir_make_precompiled target)
  set(folder ${CMAKE_BINARY_DIR}/precompiled)
  set(lines "")
  foreach(header IN LISTS ARGN)
    string(APPEND lines "#include ${header}\n")
  endforeach()
  file(CONFIGURE OUTPUT ${folder}/${target}.cc CONTENT "// Gives its flags to the precompiled headers.\n")
  file(CONFIGURE OUTPUT ${folder}/${target}_headers.h CONTENT "${lines}")
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -std=c++2b -E -P -x c++ ${folder}/${target}_headers.h
                  OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
  string(SHA256 sum "${text}")
  add_library(${target} OBJECT ${folder}/${target}.cc)
  target_link_libraries(${target} PRIVATE fmt::fmt)
  target_precompile_headers(${target} PRIVATE ${ARGN})
  set_target_properties(${target} PROPERTIES CXX_COMPILER_LAUNCHER "")
  # Only a custom target's files are sure to be there before what depends on it is compiled.
  add_custom_target(${target}_made DEPENDS $<TARGET_OBJECTS:${target}>)
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/${target}.dir/cmake_pch.hxx.pch.sum
       CONTENT "${CMAKE_CXX_COMPILER_VERSION} ${sum}\n")
endfunction()

if(WEIR_PRECOMPILED)
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
  weir_make_precompiled(weir_precompiled ${weir_precompiled_headers})
  weir_make_precompiled(weir_precompiled_test ${weir_precompiled_test_headers})
  target_link_libraries(weir_precompiled_test PRIVATE GTest::gtest GTest::gmock)
endif()

# Not by REUSE_FROM: that names the checkout's path in every command, and no two checkouts would share a cached object.
function(weir_use_precompiled target from)
  if(WEIR_PRECOMPILED)
    add_dependencies(${target} ${from}_made)
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -include-pch -Xclang CMakeFiles/${from}.dir/cmake_pch.hxx.pch")
  endif()
endfunction()

function(weir_precompiled target)
  weir_use_precompiled(${target} weir_precompiled)
endfunction()

function(weir_precompiled_test target)
  weir_use_precompiled(${target} weir_precompiled_test)
endfunction()
