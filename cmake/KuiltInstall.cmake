# What `cmake --install` lays down. Nothing in it knows where: the tree may be moved afterwards.
# A consumer needs no package of ours, neither Boost nor OpenSSL nor protobuf.
include(CMakePackageConfigHelpers)
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)  # It lays down what was built; that needs no tests.
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/kuilt)

install(TARGETS kuilt_kuilt kuilt_testing kuilt_base EXPORT kuilt-targets FILE_SET HEADERS)
install(EXPORT kuilt-targets NAMESPACE kuilt:: DESTINATION ${package_dir})
write_basic_package_version_file(kuilt-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_SOURCE_DIR}/cmake/kuilt-config.cmake
              ${PROJECT_BINARY_DIR}/kuilt-config-version.cmake DESTINATION ${package_dir})

file(RELATIVE_PATH pc_up_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
foreach(name kuilt kuilt-testing)
  configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)

if(TARGET kuilt)
  install(TARGETS kuilt)
  include(KuiltPackage)
endif()
