// Runs a deployed model on its test vectors and says in JSON whether the answers agree.
#ifndef EDGEARCH_FIRMWARE_H_
#define EDGEARCH_FIRMWARE_H_

#include <stdint.h>

namespace edgearch {

// What a board gives: a console, and a timer where it has one.
struct Board {
  void (*write)(const char* text);
  uint64_t (*ticks)();  // counts up; nullptr: no timer
  uint32_t ticks_per_second;
};

// Counts on in 64 bits where a counter of 32 begins anew, as Arduino's micros() does after 71.6 minutes.
inline uint64_t Unwrapped(uint32_t count) {
  static uint64_t total = 0;
  static uint32_t last = 0;
  total += static_cast<uint32_t>(count - last);
  last = count;
  return total;
}

// Runs every role on every test vector and prints one JSON document; says whether all ran and agree.
bool Run(const Board& board);

// Answers a host's requests for ever (protocol.h); `read` returns the next character, or -1 where there is none yet.
[[noreturn]] void Serve(const Board& board, int (*read)());

}  // namespace edgearch

#endif  // EDGEARCH_FIRMWARE_H_
