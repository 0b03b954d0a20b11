# Whether this build has the CUDA backend, for which GPUs, and with whose headers.
set(OPTNET_CUDA AUTO CACHE STRING "The CUDA backend: AUTO (where nvcc and the headers are), ON or OFF")
set_property(CACHE OPTNET_CUDA PROPERTY STRINGS AUTO ON OFF)
set(OPTNET_CUDA_ARCHITECTURES release CACHE STRING
    "GPUs to compile for: release (what is published), all (those of gpu-kernels.md), native (this machine's), or CMake's list")
option(OPTNET_CUDA_ORACLE "Compile the LU of the whole KKT matrix, which only tests use" ON)
set(OPTNET_CUDA_OLDEST 12.8)
# Machine code for each, and the newest as PTX too, from which a driver makes code for what comes later.
set(OPTNET_CUDA_ALL 75-real 80-real 86-real 89-real 90-real 100-real 120)
# Code for 8.0 runs on 8.6 and 8.9 as it is; that for 10.0 on 10.3, and for 12.0 on 12.1.
set(OPTNET_CUDA_RELEASE 75-real 80-real 90-real 100-real 120)

# The types of the libraries' functions come from their headers; the libraries are looked for when they are used. Sets
# OPTNET_HEADERS_ABSENT to one that is not there, or to nothing.
macro(optnet_find_library_headers)
  set(OPTNET_HEADERS_ABSENT "")
  foreach(header IN ITEMS cublas_v2 cusolverDn)
    find_path(OPTNET_INCLUDE_${header} ${header}.h NO_DEFAULT_PATH
              PATHS ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES} ${PROJECT_SOURCE_DIR}/.cache/cuda-headers
                    $ENV{CUDA_HOME}/include $ENV{CUDA_PATH}/include ${CMAKE_SYSTEM_INCLUDE_PATH} /usr/include)
    if(NOT OPTNET_INCLUDE_${header})
      set(OPTNET_HEADERS_ABSENT ${header}.h)
    endif()
  endforeach()
endmacro()

# Sets OPTNET_CUDA_ABSENT to why there can be no CUDA backend, or to nothing.
macro(optnet_find_cuda)
  set(OPTNET_CUDA_ABSENT "")
  # Before the language is checked for, or CMake chooses.
  set(CMAKE_CUDA_ARCHITECTURES ${OPTNET_CUDA_ARCHITECTURES})
  if(OPTNET_CUDA_ARCHITECTURES STREQUAL "release")
    set(CMAKE_CUDA_ARCHITECTURES ${OPTNET_CUDA_RELEASE})
  elseif(OPTNET_CUDA_ARCHITECTURES STREQUAL "all")
    set(CMAKE_CUDA_ARCHITECTURES ${OPTNET_CUDA_ALL})
  endif()
  # Linked in, so that the addon loads where there is no CUDA. What needs no GPU must work there.
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  # CMake 3.25 does not know that nvcc compiles C++20; optnet_cuda() says so to nvcc itself.
  set(CMAKE_CUDA_STANDARD_REQUIRED OFF)

  # Found to be missing earlier, it may be there by now; and toolkits are often installed but not in PATH.
  if(NOT CMAKE_CUDA_COMPILER)
    unset(CMAKE_CUDA_COMPILER CACHE)
    find_program(OPTNET_NVCC nvcc PATHS $ENV{CUDA_HOME}/bin $ENV{CUDA_PATH}/bin /usr/local/cuda/bin)
    if(OPTNET_NVCC AND NOT DEFINED ENV{CUDACXX})
      set(ENV{CUDACXX} ${OPTNET_NVCC})
    endif()
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    set(OPTNET_CUDA_ABSENT "it was compiled where there was no CUDA compiler that works")
  else()
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --version OUTPUT_VARIABLE OPTNET_NVCC_VERSION)
    string(REGEX MATCH "release ([0-9.]+)" OPTNET_NVCC_VERSION "${OPTNET_NVCC_VERSION}")
    set(OPTNET_NVCC_VERSION ${CMAKE_MATCH_1})
    if(OPTNET_NVCC_VERSION VERSION_LESS OPTNET_CUDA_OLDEST)
      set(OPTNET_CUDA_ABSENT "it was compiled with CUDA ${OPTNET_NVCC_VERSION}, which is older than ${OPTNET_CUDA_OLDEST}")
    else()
      enable_language(CUDA)
      optnet_find_library_headers()
      if(OPTNET_HEADERS_ABSENT)
        set(OPTNET_CUDA_ABSENT "it was compiled where there was no ${OPTNET_HEADERS_ABSENT}")
      endif()
    endif()
  endif()
endmacro()

# The object files of the CUDA backend. They belong into optnet_core, as does whoever uses them for tests.
function(optnet_cuda)
  file(GLOB kernels CONFIGURE_DEPENDS native/cuda/*.cu)
  file(GLOB host CONFIGURE_DEPENDS native/cuda/*.cpp)
  list(FILTER host EXCLUDE REGEX "/absent\\.cpp$")
  # For cudaFuncSetAttribute and the like to take a kernel, host code sees CUDA's headers; they are not ours to warn about.
  set(include ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES} ${OPTNET_INCLUDE_cublas_v2} ${OPTNET_INCLUDE_cusolverDn})
  add_library(optnet_cuda OBJECT ${kernels} ${host})
  target_include_directories(optnet_cuda PRIVATE native)
  target_include_directories(optnet_cuda SYSTEM PRIVATE ${include})
  set_target_properties(optnet_cuda PROPERTIES CUDA_VISIBILITY_PRESET hidden)
  target_compile_options(optnet_cuda PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20 --expt-relaxed-constexpr --compress-mode=size -Xcompiler=-Wall -Xptxas=-v>
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra>)
  if(NOT OPTNET_CUDA_ORACLE)
    set_source_files_properties(native/cuda/library_double.cu native/cuda/library_single.cu
      PROPERTIES COMPILE_DEFINITIONS OPTNET_CUDA_WITHOUT_ORACLE)
  endif()
  if(UNIX)
    set(launcher ${PROJECT_SOURCE_DIR}/cmake/keep-ptxas-output.sh ${CMAKE_CUDA_COMPILER_LAUNCHER})
    set_target_properties(optnet_cuda PROPERTIES CUDA_COMPILER_LAUNCHER "${launcher}")
  endif()
endfunction()
