# Sources of the threads, matrix products and vector mathematics of the CPU backend, for include() from native/.
# Adds PI05_GEMM_SOURCES; the flags of each instruction set belong to its own unit alone.
set(PI05_GEMM_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/threads.cc
  ${CMAKE_CURRENT_LIST_DIR}/gemm.cc
  ${CMAKE_CURRENT_LIST_DIR}/vecmath.cc)
