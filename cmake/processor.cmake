# Sets `result` to the one that dispatch.cpp would choose here, which is asked the same way; to all where that cannot be known.
function(optnet_native_instruction_set result)
  list(LENGTH OPTNET_ALL_INSTRUCTION_SETS count)
  set(name "")
  if(count GREATER 1 AND NOT CMAKE_CROSSCOMPILING)
    try_run(exit_code compiled SOURCES ${PROJECT_SOURCE_DIR}/cmake/processor.cpp NO_CACHE
            CMAKE_FLAGS -DINCLUDE_DIRECTORIES=${PROJECT_SOURCE_DIR}/native RUN_OUTPUT_STDOUT_VARIABLE name)
    string(STRIP "${name}" name)
  endif()
  if(NOT name IN_LIST OPTNET_ALL_INSTRUCTION_SETS)
    set(name ${OPTNET_ALL_INSTRUCTION_SETS})
  endif()
  set(${result} ${name} PARENT_SCOPE)
endfunction()
