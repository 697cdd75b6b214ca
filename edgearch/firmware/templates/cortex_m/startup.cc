// From reset to main: the vector table, .data, .bss, the FPU, constructors.
#include <stdint.h>

#include "board.h"

extern "C" {
extern uint32_t __data_source, __data_begin, __data_end, __bss_begin, __bss_end, __stack_top;
extern void (*__init_array_begin[])();
extern void (*__init_array_end[])();

int main();
void SysTick_Handler();

void Reset_Handler() {
#ifdef __ARM_FP
  // Full access to the coprocessors 10 and 11, the FPU (CPACR, Armv7-M Architecture Reference Manual, B3.2.20).
  *reinterpret_cast<volatile uint32_t*>(0xE000ED88) |= 0xFu << 20;
  asm volatile("dsb\n isb");
#endif
  const uint32_t* source = &__data_source;
  for (uint32_t* word = &__data_begin; word < &__data_end;) *word++ = *source++;
  for (uint32_t* word = &__bss_begin; word < &__bss_end;) *word++ = 0;
  for (auto constructor = __init_array_begin; constructor != __init_array_end; ++constructor) (*constructor)();
  main();
}

void Fault_Handler() {
  board::Write("{\"schema\": \"edgearch/firmware@1\", \"ok\": false, \"error\": \"processor fault\"}\n");
  board::Exit(false);
}

// What newlib asks of a system and this one has not; nothing here allocates or opens a file.
void* _sbrk(intptr_t) { return reinterpret_cast<void*>(-1); }

// Static objects live until the power goes: no destructor is kept to be called.
void* __dso_handle = nullptr;
int __cxa_atexit(void (*)(void*), void*, void*) { return 0; }
}

namespace {

union Vector {
  uint32_t* stack;
  void (*handler)();
};

}  // namespace

// Armv7-M Architecture Reference Manual, table B1-4: fifteen exceptions, no interrupts.
__attribute__((section(".vectors"), used)) const Vector vectors[16] = {
    {.stack = &__stack_top},     {.handler = Reset_Handler}, {.handler = Fault_Handler}, {.handler = Fault_Handler},
    {.handler = Fault_Handler},  {.handler = Fault_Handler}, {.handler = Fault_Handler}, {.handler = nullptr},
    {.handler = nullptr},        {.handler = nullptr},       {.handler = nullptr},       {.handler = Fault_Handler},
    {.handler = Fault_Handler},  {.handler = nullptr},       {.handler = Fault_Handler}, {.handler = SysTick_Handler},
};
