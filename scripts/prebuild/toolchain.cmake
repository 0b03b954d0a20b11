# A toolchain file for published addons (scripts/prebuild): this machine's GCC, against the libraries of an older system, in
# OPTNET_SYSROOT, for that system's OPTNET_TRIPLE and OPTNET_MACHINE. The addon then loads there and on all that is newer.

# CMake reads this file again in each of its trials, to which only the environment passes on.
foreach(name IN ITEMS OPTNET_SYSROOT OPTNET_TRIPLE OPTNET_MACHINE)
  if(DEFINED ${name})
    set(ENV{${name}} ${${name}})
  else()
    set(${name} $ENV{${name}})
  endif()
endforeach()

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${OPTNET_MACHINE})
set(CMAKE_CXX_COMPILER ${OPTNET_TRIPLE}-g++)
set(CMAKE_CUDA_HOST_COMPILER ${OPTNET_TRIPLE}-g++)

# Not CMAKE_CXX_FLAGS, which cmake-js sets to its own.
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:--sysroot=${OPTNET_SYSROOT}>)
# A cross compiler of Debian's looks for the C library's headers in a folder of its own first, sysroot or not. What it has
# to keep are its headers of C++ and of the language.
if(NOT OPTNET_TRIPLE MATCHES "^${CMAKE_HOST_SYSTEM_PROCESSOR}-")
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -x c++ -E -v /dev/null OUTPUT_QUIET ERROR_VARIABLE folders)
  string(REGEX MATCHALL "\n /[^\n ]+" folders "${folders}")
  list(TRANSFORM folders STRIP)
  list(FILTER folders INCLUDE REGEX "/c[+][+]/|/[0-9]+/include$")
  list(APPEND folders ${OPTNET_SYSROOT}/usr/include/${OPTNET_TRIPLE} ${OPTNET_SYSROOT}/usr/include)
  list(TRANSFORM folders PREPEND "SHELL:-isystem ")
  add_compile_options(-nostdinc ${folders})
endif()
set(CMAKE_CUDA_FLAGS_INIT "-Xcompiler=--sysroot=${OPTNET_SYSROOT}")
# Debian's GCC looks into its own folders first, sysroot or not, unless these come before them.
set(libraries ${OPTNET_SYSROOT}/usr/lib/${OPTNET_TRIPLE})
set(flags "--sysroot=${OPTNET_SYSROOT} -B${libraries} -L${libraries} -L${OPTNET_SYSROOT}/lib/${OPTNET_TRIPLE}")
set(CMAKE_EXE_LINKER_FLAGS_INIT "${flags}")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "${flags}")
set(CMAKE_MODULE_LINKER_FLAGS_INIT "${flags}")

set(CMAKE_FIND_ROOT_PATH ${OPTNET_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE BOTH)
