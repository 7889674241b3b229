// Killed processes leak what they owned, on purpose (world.h): the leak checker must not call that an error.
extern "C" const char* __asan_default_options();  // NOLINT: the sanitizer's name
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }
