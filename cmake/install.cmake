# SPDX-License-Identifier: Apache-2.0
# What "cmake --install" gives: the library, its headers, a CMake package and a pkg-config file. All of it can be moved
# to another place together.
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/zcrx)

install(TARGETS zcrx EXPORT zcrx)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/zcrx ${PROJECT_BINARY_DIR}/include/zcrx
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

# Before 1.0 a minor version may change the API.
install(EXPORT zcrx FILE zcrxTargets.cmake NAMESPACE zcrx:: DESTINATION ${package_dir})
list(JOIN ZCRX_PKG_LIBNL " " libnl)
configure_package_config_file(cmake/zcrxConfig.cmake.in zcrxConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(zcrxConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/zcrxConfig.cmake ${PROJECT_BINARY_DIR}/zcrxConfigVersion.cmake
        DESTINATION ${package_dir})

# A static library leaves all it needs to the program's link line; a shared one has found its own.
set(requires ${ZCRX_PUBLIC_LIBRARIES})
set(libs "-lzcrx")
if(NOT BUILD_SHARED_LIBS)
  list(APPEND requires ${ZCRX_PRIVATE_LIBRARIES} ${ZCRX_PKG_LIBURING} ${ZCRX_PKG_LIBNL})
  string(APPEND libs " -pthread")
endif()
# Abseil calls a library absl::status in CMake, absl_status in pkg-config.
list(TRANSFORM requires REPLACE "^absl::" "absl_")
list(TRANSFORM requires REPLACE ">=" " >= ")
list(JOIN requires ", " requires)
# Seen from where zcrx.pc lies, so that the prefix may change after configuring.
file(RELATIVE_PATH up_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" up_to_prefix ${up_to_prefix})
configure_file(cmake/zcrx.pc.in zcrx.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/zcrx.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
