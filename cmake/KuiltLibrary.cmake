# kuilt::kuilt, what a user links: both doors, client.hpp and server.hpp, behind one shared library
# that shows nothing but kuilt's own API.
if(KUILT_BUILD_SHARED)
  configure_file(cmake/kuilt.map.in kuilt.map @ONLY)
  # Whole, though nothing in here calls them; of the other layers, what they need.
  add_library(kuilt_kuilt SHARED $<TARGET_OBJECTS:kuilt_client> $<TARGET_OBJECTS:kuilt_server>)
  target_link_libraries(kuilt_kuilt PUBLIC kuilt::base PRIVATE kuilt::client kuilt::server)
  target_link_options(kuilt_kuilt PRIVATE
    -Wl,--no-undefined -Wl,--version-script=${PROJECT_BINARY_DIR}/kuilt.map)
  # Before 1.0 a minor version may change the ABI.
  set_target_properties(kuilt_kuilt PROPERTIES
    OUTPUT_NAME kuilt EXPORT_NAME kuilt LINKER_LANGUAGE CXX
    LINK_DEPENDS ${PROJECT_BINARY_DIR}/kuilt.map
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
else()
  add_library(kuilt_kuilt INTERFACE)
  target_link_libraries(kuilt_kuilt INTERFACE kuilt::client kuilt::server)
endif()
add_library(kuilt::kuilt ALIAS kuilt_kuilt)
