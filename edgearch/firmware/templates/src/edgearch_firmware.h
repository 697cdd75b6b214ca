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

// Runs every role on every test vector and prints one JSON document; says whether all ran and agree.
bool Run(const Board& board);

// Answers a host's requests for ever (protocol.h); `read` returns the next character, or -1 where there is none yet.
[[noreturn]] void Serve(const Board& board, int (*read)());

}  // namespace edgearch

#endif  // EDGEARCH_FIRMWARE_H_
