# Threads, GEMM and vector mathematics of the CPU backend; included by native/CMakeLists.txt.
# Defines PI05_GEMM_SOURCES and the target pi05_gemm_bench (not part of "all"). Only the file of an instruction set is
# compiled with the flags of that instruction set.
set(PI05_GEMM_SOURCES)
foreach(unit threads gemm vecmath simd simd_generic)
  list(APPEND PI05_GEMM_SOURCES ${CMAKE_CURRENT_LIST_DIR}/${unit}.cc)
endforeach()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  foreach(unit simd_avx2 simd_avx512)
    list(APPEND PI05_GEMM_SOURCES ${CMAKE_CURRENT_LIST_DIR}/${unit}.cc)
  endforeach()
endif()
# -O3 in every build type: without it these loops are too slow for tests.
set(PI05_SIMD_FLAGS -O3 -ffp-contract=fast -fno-math-errno -fno-trapping-math)
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/simd_generic.cc PROPERTIES
  COMPILE_OPTIONS "${PI05_SIMD_FLAGS}")
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/simd_avx2.cc PROPERTIES
  COMPILE_OPTIONS "${PI05_SIMD_FLAGS};-mavx2;-mfma")
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/simd_avx512.cc PROPERTIES
  COMPILE_OPTIONS "${PI05_SIMD_FLAGS};-mavx2;-mfma;-mavx512f;-mavx512bw;-mavx512vl;-mprefer-vector-width=512")

find_package(Threads REQUIRED)
add_executable(pi05_gemm_bench EXCLUDE_FROM_ALL
  ${CMAKE_CURRENT_LIST_DIR}/../../bench/gemm_bench.cc ${PI05_GEMM_SOURCES})
target_include_directories(pi05_gemm_bench PRIVATE ${CMAKE_CURRENT_LIST_DIR}/../..)
target_compile_features(pi05_gemm_bench PRIVATE cxx_std_17)
target_link_libraries(pi05_gemm_bench PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
