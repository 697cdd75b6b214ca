// The board's end of edgearch's serial line; README.md describes it. Plain C++, without TensorFlow Lite Micro.
#ifndef EDGEARCH_PROTOCOL_H_
#define EDGEARCH_PROTOCOL_H_

#include <stddef.h>
#include <stdint.h>

namespace edgearch {

// What the requests act on: one role's interpreter at a time.
class Served {
 public:
  virtual bool Open(uint32_t role, uint32_t* arena_bytes) = 0;
  virtual bool Reset() = 0;
  virtual bool Invoke(uint64_t* ticks) = 0;
  virtual uint8_t* Input(uint32_t position, size_t* bytes) = 0;   // nullptr: there is none
  virtual uint8_t* Output(uint32_t position, size_t* bytes) = 0;  // nullptr: there is none

 protected:
  ~Served() = default;
};

// Takes a line character by character and answers it when it is whole.
class Protocol {
 public:
  static constexpr size_t kChunk = 64;  // bytes of a tensor in one line

  // `hello` is a JSON document: what this firmware is.
  Protocol(Served& served, void (*write)(const char* text), const char* hello)
      : served_(served), write_(write), hello_(hello) {}
  void Take(char character);

 private:
  const char* Question();
  void Answer();
  void Say(const char* word, const char* rest = "");
  void Number(const char* word, uint64_t value);
  void Set(const char* text);
  void Get(const char* text);
  void Run();

  Served& served_;
  void (*write_)(const char* text);
  const char* hello_;
  char line_[2 * kChunk + 64];
  size_t length_ = 0;
  bool too_long_ = false;
  uint32_t number_ = 0;  // of the question, and so of its answer; 0: it arrived damaged
  uint32_t run_ = 0;     // the question that the last inference answered: asked again, it is not run again
  bool ran_ = false;
  uint64_t ticks_ = 0;
};

}  // namespace edgearch

#endif  // EDGEARCH_PROTOCOL_H_
