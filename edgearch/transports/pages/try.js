// What is drawn is cut out, centred, scaled as the dataset's images are, and given to the model.

import {load, open, run} from "./litert.js";

const STROKE = 1 / 9; // of the paper's width

const element = id => document.getElementById(id);
const paper = element("paper"), seen = element("seen");
const pen = paper.getContext("2d", {willReadFrequently: true});
const facts = await (await fetch("../facts/try.json")).json();
const [rows, columns] = facts.sides;
let last = null;

element("task").textContent = facts.labels.every(label => /^\d$/.test(label))
  ? "Draw a digit" : `Draw one of: ${facts.labels.join(", ")}`;
await load("wasm", 1);
const {model} = await open(`../bundle/${facts.file}`, "wasm", 1);
element("title").textContent = facts.title;
seen.width = columns;
seen.height = rows;

const bars = facts.labels.map(label => {
  const line = document.createElement("li");
  line.innerHTML = '<span class="label"></span><span class="bar"><i></i></span><span class="share"></span>';
  line.querySelector(".label").textContent = label;
  element("bars").append(line);
  return line;
});

// The square around what is drawn, in the paper's pixels; null if nothing is.
function box() {
  const {width, height} = paper;
  const pixels = pen.getImageData(0, 0, width, height).data;
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    if (!pixels[(y * width + x) * 4 + 3]) continue;
    left = Math.min(left, x); right = Math.max(right, x);
    top = Math.min(top, y); bottom = Math.max(bottom, y);
  }
  if (right < 0) return null;
  const side = Math.max(right - left, bottom - top) + 1;
  return {x: (left + right + 1 - side) / 2, y: (top + bottom + 1 - side) / 2, side};
}

// The drawing as the model wants it: 0 is paper, 1 is ink; a pixel is the mean of what it covers.
function image({x, y, side}) {
  const fine = 16; // samples a pixel and direction
  const inner = rows - 2 * facts.margin;
  const large = new OffscreenCanvas(columns * fine, rows * fine);
  const context = large.getContext("2d");
  const scale = inner * fine / side;
  context.imageSmoothingQuality = "high";
  context.drawImage(paper, (columns * fine - inner * fine) / 2 - x * scale, facts.margin * fine - y * scale,
    paper.width * scale, paper.height * scale);
  const pixels = context.getImageData(0, 0, large.width, large.height).data;
  const found = new Float32Array(rows * columns);
  for (let row = 0; row < large.height; row++) for (let column = 0; column < large.width; column++) {
    const ink = pixels[(row * large.width + column) * 4 + 3] / 255;
    found[Math.floor(row / fine) * columns + Math.floor(column / fine)] += ink / (fine * fine);
  }
  return found;
}

function showSeen(values) {
  const context = seen.getContext("2d");
  const pixels = context.createImageData(columns, rows);
  values.forEach((ink, index) => pixels.data.set([0, 0, 0, 0].fill(255 * (1 - ink), 0, 3).fill(255, 3), index * 4));
  context.putImageData(pixels, 0, 0);
}

function softmax(logits) {
  const most = Math.max(...logits);
  const powers = [...logits].map(logit => Math.exp(logit - most));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map(power => power / sum);
}

function show(shares) {
  const best = shares.indexOf(Math.max(...shares));
  bars.forEach((line, index) => {
    line.className = index === best && shares[index] ? "best" : "";
    line.querySelector("i").style.width = `${100 * shares[index]}%`;
    line.querySelector(".share").textContent = shares[index] ? `${(100 * shares[index]).toFixed(1)} %` : "";
  });
  return best;
}

function sure(share) {
  return share > 0.99 ? "over 99 %" : `${(100 * share).toFixed(0)} %`;
}

async function ask() {
  const around = box();
  if (!around) return;
  const values = image(around);
  showSeen(values);
  const inputs = {[facts.input]: {shape: facts.shape, data: values}};
  const start = performance.now();
  const outputs = await run(model, inputs);
  const microseconds = (performance.now() - start) * 1000;
  const shares = softmax(outputs[facts.output].data);
  const best = show(shares);
  element("answer").textContent = `It is ${facts.labels[best]}, ${sure(shares[best])} sure.`;
  element("time").textContent = `${microseconds.toFixed(0)} µs in WebAssembly, this once.`;
}

function clear() {
  pen.clearRect(0, 0, paper.width, paper.height);
  showSeen(new Float32Array(rows * columns));
  show(facts.labels.map(() => 0));
  element("answer").textContent = "Nothing drawn yet.";
  element("time").textContent = "";
}

function point(event) {
  const place = paper.getBoundingClientRect();
  const scale = paper.width / place.width;
  return [(event.clientX - place.left) * scale, (event.clientY - place.top) * scale];
}

function draw(event) {
  if (!last) return;
  const next = point(event);
  pen.strokeStyle = getComputedStyle(document.body).color;
  pen.lineWidth = paper.width * STROKE;
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(...last);
  pen.lineTo(...next);
  pen.stroke();
  last = next;
}

paper.addEventListener("pointerdown", event => {
  paper.setPointerCapture(event.pointerId);
  last = point(event);
  draw(event);
});
paper.addEventListener("pointermove", draw);
paper.addEventListener("pointerup", async event => {
  draw(event);
  last = null;
  await ask();
});
element("clear").addEventListener("click", clear);
clear();
document.body.dataset.ready = "yes";
