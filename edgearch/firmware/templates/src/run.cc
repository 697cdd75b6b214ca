#include <string.h>

#include <new>

#include "edgearch_firmware.h"
#include "protocol.h"
#include "report.h"
#include "resolver.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"
#include "test_vectors.h"

namespace edgearch {
namespace {

alignas(16) uint8_t arena[kArenaBytes];
alignas(16) uint8_t kept_state[kStateBytes];

// Ticks of single inferences.
struct Latency {
  uint64_t first = 0;
  uint64_t least = UINT64_MAX;
  uint64_t most = 0;
  uint32_t runs = 0;

  void Add(uint64_t ticks) {
    if (runs++ == 0) first = ticks;
    if (ticks < least) least = ticks;
    if (ticks > most) most = ticks;
  }
};

// The bytes of a tensor, or nullptr where it is missing or of another size than the vectors were made for.
template <typename Tensor>
uint8_t* Bytes(Tensor* tensor, size_t bytes) {
  return tensor != nullptr && tensor->bytes == bytes ? tensor->data.uint8 : nullptr;
}

bool SetInputs(const Role& role, int example, int step, tflite::MicroInterpreter& interpreter) {
  for (int index = 0; index < role.input_count; ++index) {
    const Input& input = role.inputs[index];
    uint8_t* target = Bytes(interpreter.input(input.position), input.bytes);
    if (target == nullptr) return false;
    const size_t place = static_cast<size_t>(example) * role.steps + step;
    memcpy(target, static_cast<const uint8_t*>(input.values) + place * input.bytes, input.bytes);
  }
  return true;
}

// An output may lie where an input lay: all of the state is copied out before any of it is fed back.
bool KeepState(const Role& role, tflite::MicroInterpreter& interpreter) {
  uint8_t* kept = kept_state;
  for (int index = 0; index < role.state_count; ++index) {
    const State& state = role.states[index];
    const uint8_t* source = Bytes(interpreter.output(state.output), state.bytes);
    if (source == nullptr) return false;
    memcpy(kept, source, state.bytes);
    kept += state.bytes;
  }
  return true;
}

bool SetState(const Role& role, bool begin, tflite::MicroInterpreter& interpreter) {
  const uint8_t* kept = kept_state;
  for (int index = 0; index < role.state_count; ++index) {
    const State& state = role.states[index];
    uint8_t* target = Bytes(interpreter.input(state.input), state.bytes);
    if (target == nullptr) return false;
    memcpy(target, begin ? state.start : kept, state.bytes);
    kept += state.bytes;
  }
  return true;
}

bool RunExample(const Role& role, int example, const Board& board, tflite::MicroInterpreter& interpreter,
                Latency& latency) {
  if (interpreter.Reset() != kTfLiteOk) return false;  // an LSTM must not remember the example before
  for (int step = 0; step < role.steps; ++step) {
    if (!SetState(role, step == 0, interpreter)) return false;
    if (!SetInputs(role, example, step, interpreter)) return false;
    const uint64_t start = board.ticks != nullptr ? board.ticks() : 0;
    if (interpreter.Invoke() != kTfLiteOk) return false;
    if (board.ticks != nullptr) latency.Add(board.ticks() - start);
    if (!KeepState(role, interpreter)) return false;
  }
  return true;
}

bool Compare(const Role& role, int example, tflite::MicroInterpreter& interpreter, Agreement* agreements) {
  for (int index = 0; index < role.output_count; ++index) {
    const Output& output = role.outputs[index];
    const uint8_t* found = Bytes(interpreter.output(output.position), output.bytes);
    if (found == nullptr) return false;
    const uint8_t* expected = static_cast<const uint8_t*>(output.expected) + example * output.bytes;
    agreements[index].Add(output.type, found, expected, output.count);
  }
  return true;
}

bool ReportOutputs(const Role& role, const Agreement* agreements, Json& json) {
  bool agree = true;
  json.Open("\"outputs\"");
  for (int index = 0; index < role.output_count; ++index) {
    const Agreement& one = agreements[index];
    const bool within = one.Within(role.outputs[index].tolerance);
    agree = agree && within;
    json.Open(role.outputs[index].name);
    json.Boolean("\"agrees\"", within);
    json.Integer("\"values\"", one.values());
    json.Integer("\"equal\"", one.equal());
    json.Real("\"largest_difference\"", one.largest());
    json.Close();
  }
  json.Close();
  return agree;
}

void ReportLatency(const Latency& latency, Json& json) {
  if (latency.runs == 0) return;
  json.Open("\"latency_ticks\"");
  json.Integer("\"first\"", latency.first);
  json.Integer("\"min\"", latency.least);
  json.Integer("\"max\"", latency.most);
  json.Integer("\"runs\"", latency.runs);
  json.Close();
}

bool Failed(const char* literal, Json& json) {
  json.Text("\"error\"", literal);
  return false;
}

bool RunRole(const Role& role, const Resolver& resolver, const Board& board, Json& json) {
  const tflite::Model* model = tflite::GetModel(role.model);
  if (model->version() != TFLITE_SCHEMA_VERSION) return Failed("\"another schema version\"", json);
  tflite::MicroInterpreter interpreter(model, resolver, arena, sizeof arena);
  if (interpreter.AllocateTensors() != kTfLiteOk) {
    return Failed("\"the tensor arena is too small or an operator is missing: see the log\"", json);
  }
  json.Integer("\"arena_bytes\"", interpreter.arena_used_bytes());
  json.Integer("\"examples\"", role.examples);
  json.Integer("\"steps\"", role.steps);
  Latency latency;
  Agreement agreements[kMaxOutputs];
  for (int example = 0; example < role.examples; ++example) {
    if (!RunExample(role, example, board, interpreter, latency) ||
        !Compare(role, example, interpreter, agreements)) {
      return Failed("\"an inference failed, or a tensor has another size than expected\"", json);
    }
  }
  ReportLatency(latency, json);
  return ReportOutputs(role, agreements, json);
}

// The interpreter of one role after the other, in the one arena.
class Interpreters final : public Served {
 public:
  Interpreters(const Resolver& resolver, const Board& board) : resolver_(resolver), board_(board) {}

  bool Open(uint32_t role, uint32_t* arena_bytes) override {
    if (role >= static_cast<uint32_t>(kRoleCount)) return false;
    if (interpreter_ != nullptr) interpreter_->~MicroInterpreter();
    interpreter_ = new (place_) tflite::MicroInterpreter(tflite::GetModel(kRoles[role].model), resolver_, arena, sizeof arena);
    if (interpreter_->AllocateTensors() != kTfLiteOk) return false;
    *arena_bytes = static_cast<uint32_t>(interpreter_->arena_used_bytes());
    return true;
  }

  bool Reset() override { return interpreter_ != nullptr && interpreter_->Reset() == kTfLiteOk; }

  bool Invoke(uint64_t* ticks) override {
    if (interpreter_ == nullptr) return false;
    const uint64_t start = board_.ticks != nullptr ? board_.ticks() : 0;
    const bool ok = interpreter_->Invoke() == kTfLiteOk;
    *ticks = board_.ticks != nullptr ? board_.ticks() - start : 0;
    return ok;
  }

  uint8_t* Input(uint32_t position, size_t* bytes) override {
    const bool there = interpreter_ != nullptr && position < interpreter_->inputs_size();
    return Whole(there ? interpreter_->input(position) : nullptr, bytes);
  }

  uint8_t* Output(uint32_t position, size_t* bytes) override {
    const bool there = interpreter_ != nullptr && position < interpreter_->outputs_size();
    return Whole(there ? interpreter_->output(position) : nullptr, bytes);
  }

 private:
  static uint8_t* Whole(TfLiteTensor* tensor, size_t* bytes) {
    if (tensor == nullptr) return nullptr;
    *bytes = tensor->bytes;
    return tensor->data.uint8;
  }

  const Resolver& resolver_;
  const Board board_;
  alignas(tflite::MicroInterpreter) uint8_t place_[sizeof(tflite::MicroInterpreter)];
  tflite::MicroInterpreter* interpreter_ = nullptr;
};

}  // namespace

void Serve(const Board& board, int (*read)()) {
  static Resolver resolver;
  AddOperators(resolver);  // one that is missing is found when a role is opened
  static Interpreters interpreters(resolver, board);
  static Protocol protocol(interpreters, board.write, kHello);
  for (;;) {
    const int character = read();
    if (character >= 0) protocol.Take(static_cast<char>(character));
  }
}

bool Run(const Board& board) {
  static Resolver resolver;
  Json json(board.write);
  json.Open();
  json.Text("\"schema\"", "\"edgearch/firmware@1\"");
  json.Text("\"model\"", kModelName);
  json.Text("\"runtime\"", "\"tflm\"");
  json.Integer("\"arena_limit_bytes\"", sizeof arena);
  json.Integer("\"ticks_per_second\"", board.ticks != nullptr ? board.ticks_per_second : 0);
  bool ok = AddOperators(resolver);
  json.Open("\"roles\"");
  for (int index = 0; ok && index < kRoleCount; ++index) {
    json.Open(kRoles[index].name);
    ok = RunRole(kRoles[index], resolver, board, json);
    json.Close();
  }
  json.Close();
  json.Boolean("\"ok\"", ok);
  json.Close();
  json.End();
  return ok;
}

}  // namespace edgearch
