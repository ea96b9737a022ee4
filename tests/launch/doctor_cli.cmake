# tutti doctor: as it is, and with faults planted by doctor_fault_probe. Each is named with its rank.
add_executable(doctor_fault_probe doctor_fault_probe.cpp)
target_link_libraries(doctor_fault_probe PRIVATE tutti_launch tutti_test_support)
tutti_label(doctor_fault_probe dist)
tutti_mpirun(three_ranks 3)

function(doctor_test name code pattern)
  add_test(NAME doctor.${name}
           COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/expect_doctor.sh ${code} "${pattern}" ${ARGN}
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(doctor.${name} PROPERTIES LABELS dist TIMEOUT 120 PROCESSORS 2
                       FIXTURES_REQUIRED cli_models ENVIRONMENT "${host_only}")
endfunction()
# Deadlines: long where nothing hangs, short where something does.
function(doctor_fault name fault deadline other code pattern)
  doctor_test(${name} ${code} "${pattern}" ${three_ranks} $<TARGET_FILE:doctor_fault_probe> ${fault}
              ${deadline} ${m} ${models}/${other})
endfunction()

doctor_test(alone 0 "^healthy$" $<TARGET_FILE:tutti> doctor --quiet)
doctor_test(three_ranks 0 "^healthy$" ${three_ranks} $<TARGET_FILE:tutti> doctor ${m})
doctor_test(json 0 "\"healthy\": true" ${three_ranks} $<TARGET_FILE:tutti> doctor ${m} --json)
doctor_test(missing_file 5 "^error: +ranks 0-2 on .* cannot use the model: .*nowhere.h5"
            ${three_ranks} $<TARGET_FILE:tutti> doctor ${models}/nowhere.h5)
doctor_test(other_fingerprint 5
            "^error: +ranks 0-2 on [^ ]+ found another model than --expect 00000000: .*tiny"
            ${three_ranks} $<TARGET_FILE:tutti> doctor ${m} --expect 00000000)
doctor_test(singletons 5 "^error: +4 processes were started .* task 2 of 4 .*--mpi="
            ${CMAKE_COMMAND} -E env SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=2 $<TARGET_FILE:tutti>
            doctor)
doctor_fault(no_fault none 30000 m.h5 0 "^healthy$")
doctor_fault(other_model other_file 30000 other.h5 5
             "^error: +rank 1 on [^ ]+ would load another model: ")
doctor_fault(changed_byte other_file 30000 damaged.h5 5
             "^error: +rank 1 on [^ ]+ found the model damaged: .*damaged.h5")
doctor_fault(file_cut_short other_file 30000 short.h5 5
             "^error: +rank 1 on [^ ]+ cannot use the model: .*short.h5")
doctor_fault(read_only_folder read_only 30000 m.h5 0
             "^note: +rank 1 on [^ ]+ cannot write to the model's folder")
doctor_fault(folder_without_locks no_locks 30000 m.h5 0
             "^warning: +rank 1 on [^ ]+ cannot lock files .*\\(flock\\): No locks available")
doctor_fault(other_version version 30000 m.h5 5
             "^error: +MPI differs between ranks: .*Open MPI v3.0.0 \\(rank 1 on ")
doctor_fault(failed_stage throws 30000 m.h5 5
             "^error: +rank 1 on [^ ]+ failed in stage 'host': a planted failure")
doctor_fault(hanging_file file_hangs 4000 m.h5 5
             "^error: +rank 1 on [^ ]+ hangs in stage 'model file'")
doctor_fault(hanging_root root_hangs 4000 m.h5 5 "^error: +rank 0 on [^ ]+ hangs in stage 'host'")
doctor_fault(hanging_collective collective_hangs 6000 m.h5 5
             "^error: +rank 1 on [^ ]+ hangs in stage 'collectives': it sleeps in step 'first sum'")
doctor_fault(stopped_rank stopped 4000 m.h5 5
             "^error: +rank 1 on [^ ]+ hangs in stage 'model file': it is stopped")
doctor_fault(failed_collective collective_throws 6000 m.h5 5
             "^error: +rank 1 on [^ ]+ failed in stage 'collectives': it left the others in it")
