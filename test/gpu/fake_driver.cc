// A fake libcuda.so.1 without a GPU: reports the version DRIVER_VERSION, and cuInit returns DRIVER_INIT (a CUresult).
#include <cstdlib>

extern "C" {

int cuDriverGetVersion(int* version) {
  const char* const value = std::getenv("DRIVER_VERSION");
  *version = value ? std::atoi(value) : 0;
  return 0;
}

int cuInit(unsigned) {
  const char* const value = std::getenv("DRIVER_INIT");
  return value ? std::atoi(value) : 0;
}

}  // extern "C"
