# Which model was loaded, by whom: in every output of every command.
add_executable(identity_check identity_check.cpp)
target_link_libraries(identity_check PRIVATE tutti_flags fmt::fmt nlohmann_json::nlohmann_json)
tutti_label(identity_check dist)
tutti_mpirun(launcher 2)
add_test(NAME cli.identity_is_everywhere
         COMMAND identity_check $<TARGET_FILE:tutti> ${models} ${launcher}
         WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
add_test(NAME cli.stale_file_is_recognised
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/stale_file.sh $<TARGET_FILE:tutti> ${models}
         WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
set_tests_properties(cli.identity_is_everywhere cli.stale_file_is_recognised
  PROPERTIES LABELS dist TIMEOUT 600 PROCESSORS 2 FIXTURES_REQUIRED cli_models
             ENVIRONMENT "${host_only}")
