# The doubles of cuBLAS and cuSOLVER, and their tests. Included by test/native, where the libraries' headers are.
set(OPTNET_CUDA_INCLUDE ${OPTNET_CUDA_HEADERS} ${OPTNET_INCLUDE_cublas_v2} ${OPTNET_INCLUDE_cusolverDn})

add_library(optnet_emulated_libraries STATIC emulation/libraries.cpp emulation/cublas.cpp emulation/cusolver.cpp)
target_include_directories(optnet_emulated_libraries PUBLIC ../../native .)
target_include_directories(optnet_emulated_libraries SYSTEM PUBLIC ${OPTNET_CUDA_INCLUDE})
target_compile_options(optnet_emulated_libraries PRIVATE -Wall -Wextra)

add_executable(libraries_test libraries_test.cpp ../../native/cuda/libraries.cpp ../../native/cuda/library_handles.cpp)
target_compile_options(libraries_test PRIVATE -Wall -Wextra)
target_link_libraries(libraries_test PRIVATE optnet_emulated_libraries Threads::Threads ${CMAKE_DL_LIBS})

add_library(optnet_deficient_cublas SHARED emulation/deficient_cublas.cpp)
set_target_properties(optnet_deficient_cublas PROPERTIES PREFIX "" OUTPUT_NAME libcublas SUFFIX .so.13
                      LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/deficient)
foreach(library IN ITEMS cublas cusolver)
  string(TOUPPER ${library} LIBRARY)
  add_library(optnet_complete_${library} SHARED emulation/complete_library.cpp)
  target_compile_definitions(optnet_complete_${library} PRIVATE OPTNET_COMPLETE_${LIBRARY})
  target_include_directories(optnet_complete_${library} PRIVATE ../../native)
  target_include_directories(optnet_complete_${library} SYSTEM PRIVATE ${OPTNET_CUDA_INCLUDE})
  set_target_properties(optnet_complete_${library} PROPERTIES PREFIX "" OUTPUT_NAME lib${library}
                        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/complete)
  add_dependencies(libraries_test optnet_complete_${library})
endforeach()
set_target_properties(optnet_complete_cublas PROPERTIES SUFFIX .so.13)
set_target_properties(optnet_complete_cusolver PROPERTIES SUFFIX .so.12)
add_test(NAME libraries COMMAND libraries_test $<TARGET_FILE_DIR:optnet_deficient_cublas>
                                               $<TARGET_FILE_DIR:optnet_complete_cublas>)
add_dependencies(libraries_test optnet_deficient_cublas)

add_test(NAME installed_libraries COMMAND libraries_test)
set_tests_properties(installed_libraries PROPERTIES SKIP_RETURN_CODE 77)
