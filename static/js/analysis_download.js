// The analysis chart as a picture file: its panes with their legends, what it shows and when it was made written in.

import { save } from "./download.js";
import { clock, zoneName } from "./format.js";
import { tokens } from "./theme.js";

const HEAD = 30;
const FOOT = 22;

/** `chart` as AnalysisChart is; `now` is the server's time, epoch milliseconds. */
export function download({ chart, choice, now }) {
  const picture = chart.picture();
  const { clientWidth: width, clientHeight: height } = chart.element;
  const scale = picture.width / width || 1;
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
  write(pen, `${choice.symbol} ${choice.market} · ${choice.timeframe}${simulated}`, 10, HEAD / 2, `600 13px ${color.sans}`, color.text);
  const made = `${clock(now, "exact")} ${zoneName()} · the last candle may be open · TradingView Lightweight Charts`;
  write(pen, made, 10, HEAD + height + FOOT / 2, `11px ${color.sans}`, color.muted);
  pen.save();
  pen.beginPath();
  pen.rect(0, HEAD, width, height);
  pen.clip();
  for (const block of document.querySelectorAll("#legends .legend")) back(pen, block, chart.element);
  for (const piece of legends(chart.element)) write(pen, piece.text, piece.x, HEAD + piece.y, piece.font, piece.color);
  pen.restore();
  canvas.toBlob((blob) => save(blob, `${choice.symbol}-${choice.market}-${choice.timeframe}.png`));
}

/** What is behind a legend on the page, so that lines do not cross its text. */
function back(pen, block, element) {
  const [origin, box] = [element.getBoundingClientRect(), block.getBoundingClientRect()];
  pen.fillStyle = getComputedStyle(block).backgroundColor;
  pen.fillRect(box.left - origin.left, HEAD + box.top - origin.top, box.width, box.height);
}

/** Every piece of text in the legends where it stands over the chart. */
function* legends(element) {
  const origin = element.getBoundingClientRect();
  const walker = document.createTreeWalker(document.getElementById("legends"), NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getClientRects()[0];
    if (!box || !node.data.trim()) continue;
    const style = getComputedStyle(node.parentElement);
    const font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    yield { text: node.data.trimEnd(), x: box.left - origin.left, y: box.top - origin.top + box.height / 2, font, color: style.color };
  }
}

function write(pen, text, x, y, font, fill) {
  pen.font = font;
  pen.fillStyle = fill;
  pen.fillText(text, x, y);
}
