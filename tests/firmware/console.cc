// What a firmware project is without TensorFlow Lite Micro: startup, console, timer, comparing, JSON.
#include <math.h>

#include "cortex_m/board.h"
#include "src/report.h"

using namespace edgearch;

namespace {

struct Constructed {
  int value;
  Constructed() : value(42) {}
} constructed;
int initialized = 7;
int cleared;

// Ticks go up, and by about as much each time, also where the 24 bits of the counter begin anew.
bool Steady() {
  uint64_t last = board::Ticks();
  for (int round = 0; round < 3000; ++round) {
    for (volatile int count = 0; count < 50000; ++count) {
    }
    const uint64_t now = board::Ticks();
    if (now <= last || now - last > 20000) return false;
    last = now;
  }
  return last > (1u << 24);
}

void OwnAnswers(Json& json) {
  for (int index = 0; index < kRoleCount; ++index) {
    const Role& role = kRoles[index];
    json.Open(role.name);
    for (int place = 0; place < role.output_count; ++place) {
      const Output& output = role.outputs[place];
      Agreement agreement;
      agreement.Add(output.type, output.expected, output.expected, output.count * role.examples);
      json.Integer(output.name, agreement.equal());
    }
    json.Close();
  }
}

}  // namespace

int main() {
  board::StartTimer();
  Json json(board::Write);
  json.Open();
  json.Text("\"model\"", kModelName);
  json.Boolean("\"started\"", constructed.value == 42 && initialized == 7 && cleared == 0);
  json.Boolean("\"steady\"", Steady());
  OwnAnswers(json);
  const int8_t found[] = {1, -3};
  const int8_t expected[] = {4, -3};
  Agreement steps;
  steps.Add(Type::kInt8, found, expected, 2);
  json.Real("\"largest\"", steps.largest());
  json.Boolean("\"within_2\"", steps.Within(2.0f));
  json.Boolean("\"within_2.2\"", steps.Within(2.2f));
  const float nan[] = {NAN};
  const float pi[] = {3.1415926f};
  Agreement floats;
  floats.Add(Type::kFloat32, nan, pi, 1);
  json.Real("\"nan\"", floats.largest());
  json.Boolean("\"nan_within\"", floats.Within(1e9f));
  json.Real("\"pi\"", pi[0]);
  json.Close();
  json.End();
  board::Exit(true);
}
