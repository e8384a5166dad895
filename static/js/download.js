// The chart as a picture file, with what it shows and where it comes from written into it.

import { clock, zoneName } from "./format.js";
import { tokens } from "./theme.js";

const HEAD = 30;
const FOOT = 22;

export function download({ chart, choice, state, freshness, compared }) {
  const picture = chart.picture();
  const scale = picture.width / chart.element.clientWidth || 1;
  const canvas = document.createElement("canvas");
  canvas.width = picture.width;
  canvas.height = picture.height + (HEAD + FOOT) * scale;
  const pen = canvas.getContext("2d");
  const color = tokens();
  pen.fillStyle = color.background;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(picture, 0, HEAD * scale);
  pen.scale(scale, scale);
  pen.textBaseline = "middle";
  const simulated = document.querySelector(".banner") ? " · SIMULATED MARKET" : "";
  const markets = compared ? `${state.market} and ${state.otherMarket} (thin)` : state.market;
  const title = `${state.symbol} ${markets} liquidity within ${state.depth}% · ${state[choice.unit]} · ${choice.range}${simulated}`;
  write(pen, title, 10, HEAD / 2, `600 13px ${color.sans}`, color.text);
  legend(pen, choice.side, chart.element.clientWidth, color, compared);
  const made = `${clock(freshness.serverNow(), "exact")} ${zoneName()} · paler, dashed or hatched: lower bounds · TradingView Lightweight Charts`;
  write(pen, made, 10, canvas.height / scale - FOOT / 2, `11px ${color.sans}`, color.muted);
  canvas.toBlob((blob) => save(blob, `${state.symbol}-${state.market}-${state.depth}-${choice.range}.png`));
}

function write(pen, text, x, y, font, fill) {
  pen.font = font;
  pen.fillStyle = fill;
  pen.fillText(text, x, y);
}

function legend(pen, side, width, color, compared) {
  const names = { both: ["bid", "ask"], bid: ["bid"], ask: ["ask"], diff: [] }[side];
  const inks = compared ? [color, color.other] : [color];
  inks.forEach((ink, row) => {
    names.forEach((name, i) => write(pen, name.toUpperCase(), width - 80 * (inks.length - row) + i * 36, HEAD / 2, `600 12px ${color.sans}`, ink[name]));
  });
}

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
