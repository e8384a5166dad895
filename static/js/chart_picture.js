// A chart as a picture file: what it shows, when it was made and where it comes from are written into it.

import { clock, zoneName } from "./format.js";
import { tokens } from "./theme.js";

const HEAD = 30;
const FOOT = 22;

/** The picture of `chart` (a PanesChart) between a title and a foot that says of when it is (`now`, the server's time,
 * epoch ms) and a `note`; `name` is the file's, without its ending. */
export function download({ chart, title, note, name, now }) {
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
  write(pen, `${title}${simulated}`, 10, HEAD / 2, `600 13px ${color.sans}`, color.text);
  const made = `${clock(now, "exact")} ${zoneName()} · ${note} · TradingView Lightweight Charts`;
  write(pen, made, 10, canvas.height / scale - FOOT / 2, `11px ${color.sans}`, color.muted);
  drawLegends(pen, chart.element, width, height);
  canvas.toBlob((blob) => save(blob, `${name}.png`));
}

function write(pen, text, x, y, font, fill) {
  pen.font = font;
  pen.fillStyle = fill;
  pen.fillText(text, x, y);
}

/** The legends of the panes where they stand over the chart, with what is behind them: lines do not cross their text. */
function drawLegends(pen, element, width, height) {
  pen.save();
  pen.beginPath();
  pen.rect(0, HEAD, width, height);
  pen.clip();
  const origin = element.getBoundingClientRect();
  for (const block of element.parentElement.querySelectorAll(".legend")) {
    const box = block.getBoundingClientRect();
    pen.fillStyle = getComputedStyle(block).backgroundColor;
    pen.fillRect(box.left - origin.left, HEAD + box.top - origin.top, box.width, box.height);
    for (const piece of pieces(block, origin)) write(pen, piece.text, piece.x, HEAD + piece.y, piece.font, piece.color);
  }
  pen.restore();
}

/** Every piece of text in a legend, where it stands. */
function* pieces(block, origin) {
  const walker = document.createTreeWalker(block, NodeFilter.SHOW_TEXT);
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

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
