# The threads, matrix products and vector mathematics of the CPU backend, for include() from native/CMakeLists.txt.
# Defines PI05_GEMM_SOURCES and gives each instruction set's unit, and no other file, that instruction set's flags.
set(PI05_GEMM_SOURCES)
foreach(unit threads gemm vecmath simd simd_generic)
  list(APPEND PI05_GEMM_SOURCES ${CMAKE_CURRENT_LIST_DIR}/${unit}.cc)
endforeach()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  foreach(unit simd_avx2 simd_avx512)
    list(APPEND PI05_GEMM_SOURCES ${CMAKE_CURRENT_LIST_DIR}/${unit}.cc)
  endforeach()
endif()
# -O3 in every build type: a debug build of these loops is too slow to test with.
set(PI05_SIMD_FLAGS -O3 -ffp-contract=fast -fno-math-errno -fno-trapping-math)
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/simd_generic.cc PROPERTIES
  COMPILE_OPTIONS "${PI05_SIMD_FLAGS}")
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/simd_avx2.cc PROPERTIES
  COMPILE_OPTIONS "${PI05_SIMD_FLAGS};-mavx2;-mfma")
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/simd_avx512.cc PROPERTIES
  COMPILE_OPTIONS "${PI05_SIMD_FLAGS};-mavx2;-mfma;-mavx512f;-mavx512bw;-mavx512vl;-mprefer-vector-width=512")
