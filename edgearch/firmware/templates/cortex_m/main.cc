// Runs the test vectors on a Cortex-M; the console is that of the debugger or emulator (semihosting).
#include <stdio.h>

#include "../src/edgearch_firmware.h"
#include "board.h"
#include "tensorflow/lite/micro/debug_log.h"

extern "C" void DebugLog(const char* format, va_list args) {
  char text[160];
  vsnprintf(text, sizeof text, format, args);
  board::Write(text);
}

extern "C" int DebugVsnprintf(char* buffer, size_t size, const char* format, va_list args) {
  return vsnprintf(buffer, size, format, args);
}

int main() {
  board::StartTimer();
  const edgearch::Board here = {board::Write, board::Ticks, board::kTicksPerSecond};
  board::Exit(edgearch::Run(here));
}
