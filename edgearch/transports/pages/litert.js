// One model in LiteRT.js, and the messages that the program behind this page sends and gets.

import {loadAndCompile, loadLiteRt, Tensor} from "../litertjs/core/dist/index.js";

const KINDS = {float32: Float32Array, int32: Int32Array, uint8: Uint8Array};
const names = new Map(Object.entries(KINDS).map(([name, kind]) => [kind, name]));

// Load the runtime; say what it runs on, in how many threads. WebGPU's adapter is software where it says so.
export async function load(accelerator, wanted) {
  // Only WebAssembly has them. LiteRT.js makes one a core, and would wait for more without end.
  const threads = accelerator === "wasm" ? Math.min(wanted, navigator.hardwareConcurrency) : 1;
  // JSPI lets a model run on WebGPU in part: so it can be told whether it runs there as a whole.
  const jspi = accelerator === "webgpu" && "Suspending" in WebAssembly;
  await loadLiteRt("../litertjs/core/wasm/", {threads: threads > 1, jspi});
  if (accelerator === "wasm") return {threads};
  const adapter = navigator.gpu && await navigator.gpu.requestAdapter();
  if (!adapter) throw new Error("failed to find WebGPU: this browser gives pages none");
  const {vendor, architecture, description, isFallbackAdapter} = adapter.info;
  const name = [vendor, architecture, description].filter(Boolean).join(" ") || "GPU";
  return {threads, adapter: name, software: Boolean(isFallbackAdapter) || /swiftshader|llvmpipe/i.test(name)};
}

export async function open(url, accelerator, threads) {
  const reply = await fetch(url);
  if (!reply.ok) throw new Error(`failed to fetch ${url}: ${reply.status} ${reply.statusText}`);
  const bytes = new Uint8Array(await reply.arrayBuffer());
  const start = performance.now();
  const model = await loadAndCompile(bytes, {
    accelerator, cpuOptions: {numThreads: threads}, gpuOptions: {precision: "fp32"},
  });
  if (accelerator === "webgpu" && !model.isFullyAccelerated) {
    throw new Error("failed to compile for WebGPU: it does not take every operator of the model");
  }
  return {model, load_ms: performance.now() - start};
}

// Run once. Inputs and outputs: name → {shape, data}. An answer counts when it can be read.
export async function run(model, inputs) {
  const fed = {};
  for (const [name, {shape, data}] of Object.entries(inputs)) fed[name] = new Tensor(data, shape);
  const found = await model.run(fed);
  const outputs = {};
  for (const {name, shape} of model.getOutputDetails()) {
    outputs[name] = {shape: [...shape], data: (await found[name].data()).slice()};
    found[name].delete();
  }
  for (const tensor of Object.values(fed)) tensor.delete();
  return outputs;
}

export function unpack(buffer) {
  const bytes = new Uint8Array(buffer);
  const end = bytes.indexOf(10);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  let start = end + 1;
  const arrays = {};
  for (const {name, dtype, shape} of header.arrays) {
    const kind = KINDS[dtype];
    if (!kind) throw new Error(`LiteRT.js has no ${dtype} tensors`);
    const size = shape.reduce((product, side) => product * side, 1) * kind.BYTES_PER_ELEMENT;
    arrays[name] = {shape, data: new kind(buffer.slice(start, start + size))};
    start += size;
  }
  return {header, arrays};
}

export function pack(header, arrays = {}) {
  const listed = Object.entries(arrays).map(([name, {shape, data}]) =>
    ({name, dtype: names.get(data.constructor), shape}));
  const line = JSON.stringify({...header, arrays: listed}) + "\n";
  return new Blob([line, ...Object.values(arrays).map(({data}) => data)]);
}
