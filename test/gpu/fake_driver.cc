// A GPU driver in name only: it says what DRIVER_VERSION and DRIVER_INIT (a CUresult) ask for, and knows no GPU.
#include <cstdlib>

extern "C" {

int cuDriverGetVersion(int* version) {
  const char* const asked = std::getenv("DRIVER_VERSION");
  *version = asked ? std::atoi(asked) : 0;
  return 0;
}

int cuInit(unsigned) {
  const char* const asked = std::getenv("DRIVER_INIT");
  return asked ? std::atoi(asked) : 0;
}

}  // extern "C"
