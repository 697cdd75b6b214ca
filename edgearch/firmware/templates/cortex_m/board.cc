#include "board.h"

namespace board {
namespace {

// Arm semihosting, operations SYS_WRITE0 and SYS_EXIT (Arm IHI 0100).
constexpr uint32_t kWrite0 = 0x04;
constexpr uint32_t kExit = 0x18;
constexpr uint32_t kApplicationExit = 0x20026;
constexpr uint32_t kRunTimeError = 0x20023;

void Semihost(uint32_t operation, uint32_t argument) {
  register uint32_t r0 asm("r0") = operation;
  register uint32_t r1 asm("r1") = argument;
  asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

// SysTick (Armv7-M Architecture Reference Manual, B3.3): 24 bits, counting down with the core clock.
volatile uint32_t& kControl = *reinterpret_cast<volatile uint32_t*>(0xE000E010);
volatile uint32_t& kReload = *reinterpret_cast<volatile uint32_t*>(0xE000E014);
volatile uint32_t& kValue = *reinterpret_cast<volatile uint32_t*>(0xE000E018);
constexpr uint32_t kLargest = 0x00FFFFFF;
// Whether its interrupt waits to be taken (ICSR, B3.2.4, PENDSTSET).
volatile uint32_t& kInterrupts = *reinterpret_cast<volatile uint32_t*>(0xE000ED04);
constexpr uint32_t kPending = 1u << 26;

volatile uint32_t wraps = 0;

}  // namespace

void Write(const char* text) { Semihost(kWrite0, reinterpret_cast<uint32_t>(text)); }

void StartTimer() {
  kReload = kLargest;
  kValue = 0;
  kControl = 7;  // on, with its interrupt, by the core clock
}

uint64_t Ticks() {
  for (;;) {
    const uint32_t before = wraps;
    const uint32_t value = kValue;
    const bool counted = (kInterrupts & kPending) == 0 && before == wraps;
    // It interrupts when it comes to 0: that is where a new round begins.
    if (counted) return (static_cast<uint64_t>(before) << 24) + ((kLargest + 1 - value) & kLargest);
  }
}

void Exit(bool ok) {
  Semihost(kExit, ok ? kApplicationExit : kRunTimeError);
  for (;;) {
  }
}

}  // namespace board

extern "C" void SysTick_Handler() { board::wraps = board::wraps + 1; }
