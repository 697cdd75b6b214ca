#include "report.h"

#include <math.h>

namespace edgearch {
namespace {

template <typename Value>
double At(const void* values, size_t index) {
  return static_cast<double>(static_cast<const Value*>(values)[index]);
}

double Read(Type type, const void* values, size_t index) {
  switch (type) {
    case Type::kBool:
    case Type::kUint8:
      return At<uint8_t>(values, index);
    case Type::kInt8:
      return At<int8_t>(values, index);
    case Type::kInt16:
      return At<int16_t>(values, index);
    case Type::kInt32:
      return At<int32_t>(values, index);
    case Type::kInt64:
      return At<int64_t>(values, index);
    case Type::kFloat32:
      return At<float>(values, index);
  }
  return 0.0;
}

}  // namespace

void Agreement::Add(Type type, const void* found, const void* expected, size_t count) {
  for (size_t index = 0; index < count; ++index) {
    const double difference = Read(type, found, index) - Read(type, expected, index);
    const float size = static_cast<float>(fabs(difference));
    if (difference == 0.0) ++equal_;
    if (!(size <= largest_)) largest_ = size;  // also where it is NaN
    squares_ += difference * difference;
  }
  values_ += static_cast<uint32_t>(count);
}

bool Agreement::Within(float tolerance) const {
  return values_ > 0 && sqrt(squares_ / values_) <= static_cast<double>(tolerance);
}

void Json::Key(const char* key) {
  if (!first_) write_(", ");
  first_ = false;
  write_(key);
  write_(": ");
}

void Json::Open() {
  write_("{");
  first_ = true;
}

void Json::Open(const char* key) {
  Key(key);
  Open();
}

void Json::Close() {
  write_("}");
  first_ = false;
}

void Json::Text(const char* key, const char* literal) {
  Key(key);
  write_(literal);
}

void Json::Digits(uint64_t value, int least) {
  char text[24];
  char* begin = text + sizeof text - 1;
  *begin = '\0';
  for (; value > 0 || least > 0; value /= 10, --least) {
    *--begin = static_cast<char>('0' + value % 10);
  }
  write_(begin);
}

void Json::Integer(const char* key, uint64_t value) {
  Key(key);
  Digits(value, 1);
}

void Json::Real(const char* key, float value) {
  Key(key);
  if (!(value >= 0.0f && value < 1e12f)) {
    write_("null");
    return;
  }
  const uint64_t millionths = static_cast<uint64_t>(static_cast<double>(value) * 1e6 + 0.5);
  Digits(millionths / 1000000, 1);
  write_(".");
  Digits(millionths % 1000000, 6);
}

void Json::Boolean(const char* key, bool value) {
  Key(key);
  write_(value ? "true" : "false");
}

}  // namespace edgearch
