# kuilt_layer(<name> SOURCES ... DEPENDS layer ... [PRIVATE_DEPENDS target ...])
#
# One layer is one library kuilt_<name>, used everywhere as kuilt::<name>. Sources are listed by
# hand; DEPENDS are layers, PRIVATE_DEPENDS are libraries that stay behind this layer. Static, for
# the tests see inside; libkuilt.so is made of them, so nothing is shown that does not say KUILT_API.
set(KUILT_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wswitch-enum)
if(KUILT_WARNINGS_AS_ERRORS)
  list(APPEND KUILT_WARNINGS -Werror)
endif()

function(kuilt_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 L "" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS")
  set(target kuilt_${name})
  list(TRANSFORM L_DEPENDS PREPEND kuilt::)
  add_library(${target} STATIC ${L_SOURCES})
  add_library(kuilt::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON
                        CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_compile_options(${target} PRIVATE ${KUILT_WARNINGS})
  target_link_libraries(${target} PUBLIC ${L_DEPENDS} PRIVATE ${L_PRIVATE_DEPENDS})
endfunction()

# kuilt_test(<folder> DEPENDS layer ... [PRIVATE_DEPENDS target ...])
#
# All tests/<folder>/*.cpp in one binary <folder>_tests: a new file can't be forgotten. CTest gets
# one entry per binary and shard, so that two cores are busy and little time goes into starting.
function(kuilt_test folder)
  cmake_parse_arguments(PARSE_ARGV 1 T "" "" "DEPENDS;PRIVATE_DEPENDS")
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${folder}/*.cpp)
  set(target ${folder}_tests)
  list(TRANSFORM T_DEPENDS PREPEND kuilt::)
  add_executable(${target} ${sources})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(${target} PRIVATE ${KUILT_WARNINGS})
  target_compile_definitions(${target} PRIVATE KUILT_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${target} PRIVATE ${T_DEPENDS} ${T_PRIVATE_DEPENDS} GTest::gmock_main)
  add_test(NAME ${folder} COMMAND ${target})
  set_tests_properties(${folder} PROPERTIES TIMEOUT 600)
endfunction()
