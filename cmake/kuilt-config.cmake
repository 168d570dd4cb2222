# find_package(kuilt): defines kuilt::kuilt, for kuilt/client.hpp and kuilt/server.hpp; and
# kuilt::testing, for kuilt/testing.hpp, which COMPONENTS testing asks for by name. C++20.
include(${CMAKE_CURRENT_LIST_DIR}/kuilt-targets.cmake)
set(kuilt_testing_FOUND ON)
foreach(component ${kuilt_FIND_COMPONENTS})
  if(kuilt_FIND_REQUIRED_${component} AND NOT kuilt_${component}_FOUND)
    set(kuilt_FOUND OFF)
    set(kuilt_NOT_FOUND_MESSAGE "kuilt has no component ${component}, only: testing")
  endif()
endforeach()
