# What users link: kuilt::kuilt, both doors, client.hpp and server.hpp; and kuilt::testing, the
# simulator behind testing.hpp, which no program needs but tests.

# kuilt_library(<name> OUTPUT_NAME name SHOWS namespace LAYERS layer ... DEPENDS library ...)
#
# The layers behind one shared library, which shows nothing but what says KUILT_API in that
# namespace. Without KUILT_BUILD_SHARED it is the layers themselves.
function(kuilt_library name)
  cmake_parse_arguments(PARSE_ARGV 1 L "" "OUTPUT_NAME;SHOWS" "LAYERS;DEPENDS")
  set(target kuilt_${name})
  list(TRANSFORM L_LAYERS PREPEND kuilt:: OUTPUT_VARIABLE layers)
  list(TRANSFORM L_DEPENDS PREPEND kuilt::)
  if(KUILT_BUILD_SHARED)
    set(map ${PROJECT_BINARY_DIR}/${L_OUTPUT_NAME}.map)
    set(shown ${L_SHOWS})
    configure_file(cmake/kuilt.map.in ${map} @ONLY)
    # Whole, though nothing in here calls them; of the other layers, what they need.
    list(TRANSFORM L_LAYERS REPLACE "(.+)" "$<TARGET_OBJECTS:kuilt_\\1>" OUTPUT_VARIABLE objects)
    add_library(${target} SHARED ${objects})
    target_link_libraries(${target} PUBLIC ${L_DEPENDS} PRIVATE ${layers})
    target_link_options(${target} PRIVATE -Wl,--no-undefined -Wl,--version-script=${map})
    # Before 1.0 a minor version may change the ABI.
    set_target_properties(${target} PROPERTIES
      OUTPUT_NAME ${L_OUTPUT_NAME} EXPORT_NAME ${name} LINKER_LANGUAGE CXX LINK_DEPENDS ${map}
      INSTALL_RPATH $ORIGIN
      VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  else()
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE ${L_DEPENDS} ${layers})
  endif()
  add_library(kuilt::${name} ALIAS ${target})
endfunction()

kuilt_library(kuilt OUTPUT_NAME kuilt SHOWS kuilt LAYERS client server DEPENDS base)
kuilt_library(testing OUTPUT_NAME kuilt-testing SHOWS kuilt::testing LAYERS simulation
              DEPENDS kuilt)
