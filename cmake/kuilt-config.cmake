# find_package(kuilt): defines kuilt::kuilt, for kuilt/client.hpp and kuilt/server.hpp. C++20.
include(${CMAKE_CURRENT_LIST_DIR}/kuilt-targets.cmake)
