// Does what the program behind this page says, one command after the other: open, run, time.

import {load, open, pack, run, unpack} from "./litert.js";

const CLOCK_STEPS = 100; // a timing lasts at least so many of the clock's steps

const {accelerator, threads} = Object.fromEntries(new URLSearchParams(location.search));
let loaded, model;

const commands = {
  async load() {
    loaded = await load(accelerator, Number(threads));
    return [loaded];
  },
  async open({file}) {
    model?.delete();
    const opened = await open(`../bundle/${file}`, accelerator, loaded.threads);
    model = opened.model;
    return [{load_ms: opened.load_ms}];
  },
  async run(_, inputs) {
    const start = performance.now();
    const outputs = await run(model, inputs);
    return [{ms: performance.now() - start}, outputs];
  },
  // Time examples of `steps` inferences each; state: output → the input that it is at the next step.
  async time({seconds, steps, state, least, most}, inputs) {
    const example = async () => {
      let fed = inputs;
      for (let step = 0; step < steps; step++) {
        const found = await run(model, fed);
        fed = {...inputs};
        for (const [output, input] of Object.entries(state)) fed[input] = found[output];
      }
    };
    const together = await worthTiming(example);
    const ms = [];
    const end = performance.now() + seconds * 1000;
    while (ms.length < least || (performance.now() < end && ms.length < most)) {
      const start = performance.now();
      for (let once = 0; once < together; once++) await example();
      ms.push((performance.now() - start) / together);
    }
    return [{ms, together}];
  },
};

// The clock of a page goes in steps of 5 µs: fast models are timed several together.
async function worthTiming(example) {
  for (let together = 1; ; together *= 2) {
    const start = performance.now();
    for (let once = 0; once < together; once++) await example();
    if (performance.now() - start >= CLOCK_STEPS * 0.005) return together;
  }
}

async function answerTo(message) {
  try {
    const {header, arrays} = unpack(message);
    return pack(...await commands[header.do](header, arrays));
  } catch (error) {
    return pack({error: String(error.message ?? error)});
  }
}

// Never answered in full: its connection tells the program that this page is still there.
fetch("../alive").then(reply => reply.text()).catch(() => {});

let answer = pack({browser: navigator.userAgent, cores: navigator.hardwareConcurrency});
for (;;) {
  const reply = await fetch("../line", {method: "POST", body: answer});
  answer = await answerTo(await reply.arrayBuffer());
}
