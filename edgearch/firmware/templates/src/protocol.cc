#include "protocol.h"

#include <string.h>

namespace edgearch {
namespace {

constexpr char kDigits[] = "0123456789abcdef";
constexpr size_t kSum = 9;  // a blank and eight digits

// CRC-32 of IEEE 802.3, reflected; zlib's.
uint32_t Crc(uint32_t sum, const char* text, size_t length) {
  sum = ~sum;
  for (size_t index = 0; index < length; ++index) {
    sum ^= static_cast<uint8_t>(text[index]);
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0xEDB88320u : 0);
  }
  return ~sum;
}

int Digit(char character) {
  const char* found = character == '\0' ? nullptr : strchr(kDigits, character);
  return found == nullptr ? -1 : static_cast<int>(found - kDigits);
}

// Reads a decimal number and the blanks before it; moves `text` behind it.
bool Number(const char** text, uint32_t* value) {
  while (**text == ' ') ++*text;
  const char* begin = *text;
  uint64_t found = 0;
  for (; **text >= '0' && **text <= '9' && found <= UINT32_MAX; ++*text) found = found * 10 + (**text - '0');
  *value = static_cast<uint32_t>(found);
  return *text != begin && found <= UINT32_MAX;
}

constexpr size_t kDecimal = 21;  // the digits of any number of 64 bits, and their end

// Writes a decimal number to the end of `text`; returns where it begins.
const char* Decimal(uint64_t value, char (&text)[kDecimal]) {
  char* begin = text + kDecimal - 1;
  *begin = '\0';
  do {
    *--begin = kDigits[value % 10];
    value /= 10;
  } while (value > 0);
  return begin;
}

const char* After(const char* line, const char* word) {
  const size_t length = strlen(word);
  const bool same = strncmp(line, word, length) == 0 && (line[length] == ' ' || line[length] == '\0');
  return same ? line + length : nullptr;
}

}  // namespace

void Protocol::Take(char character) {
  if (character == '@') {  // a line begins, whatever was there before
    length_ = 0;
    too_long_ = false;
  } else if (character == '\n') {
    if (length_ > 0) Answer();
    length_ = 0;
  } else if (length_ + 1 < sizeof line_) {
    line_[length_++] = character;
  } else {
    too_long_ = true;
  }
}

// Takes the line's number and returns what follows; nullptr: it arrived damaged.
const char* Protocol::Question() {
  if (too_long_ || length_ <= kSum) return nullptr;
  const size_t length = length_ - kSum;
  uint32_t sum = 0;
  for (size_t index = length + 1; index < length_; ++index) {
    if (Digit(line_[index]) < 0) return nullptr;
    sum = sum << 4 | static_cast<uint32_t>(Digit(line_[index]));
  }
  if (sum != Crc(0, line_, length)) return nullptr;
  line_[length] = '\0';
  const char* text = line_;
  return edgearch::Number(&text, &number_) && number_ > 0 && *text == ' ' ? text + 1 : nullptr;
}

void Protocol::Answer() {
  const char* question = Question();
  if (question == nullptr) {
    number_ = 0;
    return Say("damaged");
  }
  if (After(question, "hello") != nullptr) return Say("hello ", hello_);
  if (const char* rest = After(question, "open")) {
    uint32_t role = 0;
    uint32_t arena_bytes = 0;
    run_ = 0;
    if (!edgearch::Number(&rest, &role) || !served_.Open(role, &arena_bytes)) return Say("failed");
    return Number("opened ", arena_bytes);
  }
  if (After(question, "reset") != nullptr) return Say(served_.Reset() ? "done" : "failed");
  if (const char* rest = After(question, "set")) return Set(rest);
  if (const char* rest = After(question, "get")) return Get(rest);
  if (After(question, "run") != nullptr) return Run();
  Say("failed");
}

void Protocol::Set(const char* text) {
  uint32_t position = 0;
  uint32_t offset = 0;
  if (!edgearch::Number(&text, &position) || !edgearch::Number(&text, &offset) || *text != ' ') return Say("failed");
  size_t bytes = 0;
  uint8_t* target = served_.Input(position, &bytes);
  const size_t count = strlen(++text) / 2;
  if (target == nullptr || offset > bytes || count > bytes - offset) return Say("failed");
  for (size_t index = 0; index < count; ++index) {
    const int high = Digit(text[2 * index]);
    const int low = Digit(text[2 * index + 1]);
    if (high < 0 || low < 0) return Say("failed");
    target[offset + index] = static_cast<uint8_t>(high << 4 | low);
  }
  Say("done");
}

void Protocol::Get(const char* text) {
  uint32_t position = 0;
  uint32_t offset = 0;
  uint32_t count = 0;
  const bool read =
      edgearch::Number(&text, &position) && edgearch::Number(&text, &offset) && edgearch::Number(&text, &count);
  size_t bytes = 0;
  const uint8_t* source = read ? served_.Output(position, &bytes) : nullptr;
  if (source == nullptr || count > kChunk || offset > bytes || count > bytes - offset) return Say("failed");
  char digits[2 * kChunk + 1];
  for (size_t index = 0; index < count; ++index) {
    digits[2 * index] = kDigits[source[offset + index] >> 4];
    digits[2 * index + 1] = kDigits[source[offset + index] & 15];
  }
  digits[2 * count] = '\0';
  Say("data ", digits);
}

void Protocol::Run() {
  if (number_ != run_) ran_ = served_.Invoke(&ticks_);
  run_ = number_;
  if (!ran_) return Say("failed");
  Number("ran ", ticks_);
}

void Protocol::Number(const char* word, uint64_t value) {
  char text[kDecimal];
  Say(word, Decimal(value, text));
}

void Protocol::Say(const char* word, const char* rest) {
  char number[kDecimal];
  const char* const parts[] = {Decimal(number_, number), " ", word, rest};
  uint32_t sum = 0;
  write_("@");
  for (const char* part : parts) {
    sum = Crc(sum, part, strlen(part));
    write_(part);
  }
  char text[kSum + 2] = " ";
  for (int digit = 0; digit < 8; ++digit) text[1 + digit] = kDigits[sum >> (28 - 4 * digit) & 15];
  text[kSum] = '\n';
  text[kSum + 1] = '\0';
  write_(text);
}

}  // namespace edgearch
