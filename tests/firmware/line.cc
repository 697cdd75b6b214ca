// The board's end of the serial line on stdin and stdout, over a model that turns its hundred bytes around.
#include <unistd.h>

#include <string.h>

#include "protocol.h"

namespace {

class Turning final : public edgearch::Served {
 public:
  bool Open(uint32_t role, uint32_t* arena_bytes) override {
    *arena_bytes = 1234;
    return role == 0;
  }
  bool Reset() override {
    memset(input_, 0, sizeof input_);
    return true;
  }
  bool Invoke(uint64_t* ticks) override {
    for (int index = 0; index < 100; ++index) output_[index] = input_[99 - index];
    *ticks = 1000 + ++runs_;
    return true;
  }
  uint8_t* Input(uint32_t position, size_t* bytes) override {
    *bytes = sizeof input_;
    return position == 0 ? input_ : nullptr;
  }
  uint8_t* Output(uint32_t position, size_t* bytes) override {
    *bytes = sizeof output_;
    return position == 0 ? output_ : nullptr;
  }

 private:
  uint8_t input_[100];
  uint8_t output_[100];
  uint32_t runs_ = 0;
};

void Write(const char* text) {
  if (write(1, text, strlen(text)) < 0) _exit(1);
}

}  // namespace

int main() {
  Turning model;
  edgearch::Protocol protocol(model, Write, "{\"board\": \"none\"}");
  for (char character; read(0, &character, 1) == 1;) protocol.Take(character);
}
