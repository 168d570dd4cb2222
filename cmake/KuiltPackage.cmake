# What stands around the executable on a server, and what `cpack` makes of it all: a tarball that
# runs wherever it is unpacked, and a .deb.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(man_page ${PROJECT_BINARY_DIR}/kuilt.1)
set(man_source ${PROJECT_SOURCE_DIR}/docs/cli.md)
set(make_man ${PROJECT_SOURCE_DIR}/tools/make_man.py)
add_custom_command(OUTPUT ${man_page}
  COMMAND Python3::Interpreter ${make_man} ${man_source} ${PROJECT_VERSION} > ${man_page}
  DEPENDS ${make_man} ${man_source} VERBATIM)
add_custom_target(man_page ALL DEPENDS ${man_page})
install(FILES ${man_page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

# Where Debian's shells look; the executable prints them.
set(completions ${PROJECT_BINARY_DIR}/completions)
file(MAKE_DIRECTORY ${completions})
foreach(place bash:bash-completion/completions:kuilt zsh:zsh/vendor-completions:_kuilt
              fish:fish/vendor_completions.d:kuilt.fish)
  string(REPLACE ":" ";" place ${place})
  list(GET place 0 shell)
  list(GET place 1 folder)
  list(GET place 2 name)
  add_custom_command(OUTPUT ${completions}/${name}
    COMMAND kuilt completion ${shell} > ${completions}/${name} DEPENDS kuilt VERBATIM)
  list(APPEND completion_files ${completions}/${name})
  install(FILES ${completions}/${name} DESTINATION ${CMAKE_INSTALL_DATADIR}/${folder})
endforeach()
add_custom_target(completions ALL DEPENDS ${completion_files})

install(FILES ${PROJECT_SOURCE_DIR}/packaging/kuilt.service DESTINATION lib/systemd/system)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/kuilt.toml
        DESTINATION ${CMAKE_INSTALL_DATADIR}/kuilt)

set(CPACK_GENERATOR TGZ DEB)
set(CPACK_PACKAGE_NAME kuilt)
set(CPACK_PACKAGE_VENDOR kuilt)
set(CPACK_PACKAGE_CONTACT "kuilt maintainers <maintainers@kuilt.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "replicated log that any number of clients observe")
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_DEPENDS passwd)  # postinst makes the user.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)    # What the executables load says the rest.
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/packaging/postinst
     ${PROJECT_SOURCE_DIR}/packaging/prerm ${PROJECT_SOURCE_DIR}/packaging/postrm
     ${PROJECT_SOURCE_DIR}/packaging/triggers)
include(CPack)
