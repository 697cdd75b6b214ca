// Comparing answers and printing JSON: plain C++, without TensorFlow Lite Micro.
#ifndef EDGEARCH_REPORT_H_
#define EDGEARCH_REPORT_H_

#include <stddef.h>
#include <stdint.h>

#include "test_vectors.h"

namespace edgearch {

// How far answers are from what is expected, over all vectors of one output. Integers count in
// quantization steps, floats in their own unit.
class Agreement {
 public:
  void Add(Type type, const void* found, const void* expected, size_t count);
  // The root of the mean square difference is at most `tolerance`, and no value is NaN.
  bool Within(float tolerance) const;
  uint32_t values() const { return values_; }
  uint32_t equal() const { return equal_; }
  float largest() const { return largest_; }

 private:
  uint32_t values_ = 0;
  uint32_t equal_ = 0;
  float largest_ = 0.0f;
  double squares_ = 0.0;
};

// Writes one JSON document. Keys and texts come as finished JSON literals, quoted and escaped.
class Json {
 public:
  explicit Json(void (*write)(const char* text)) : write_(write) {}
  void Open();
  void Open(const char* key);
  void Close();
  void Text(const char* key, const char* literal);
  void Integer(const char* key, uint64_t value);
  void Real(const char* key, float value);  // six decimals; null where it is no number
  void Boolean(const char* key, bool value);
  void End() { write_("\n"); }

 private:
  void Key(const char* key);
  void Digits(uint64_t value, int least);

  void (*write_)(const char* text);
  bool first_ = true;
};

}  // namespace edgearch

#endif  // EDGEARCH_REPORT_H_
