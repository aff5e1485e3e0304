"use strict";
/* Exact amounts, days and how both are written. An amount is a BigInt of 10^-14 dollars; sums of many lines are kept as
   two integers below 2^53 (whole millionths, and the rest) until they are asked for. */

const MILLIONTH = 100000000n;
const CENT = 1000000000000n;
const DAY = 86400000;

class Sum {
  constructor() { this.whole = 0; this.rest = 0; this.unknown = false; this.count = 0; }
  add(whole, rest) { this.whole += whole; this.rest += rest; this.count += 1; }
  get units() { return BigInt(this.whole) * MILLIONTH + BigInt(this.rest); }
}

/* "12.5" as units; null stays null. */
function units(text) {
  if (text === null || text === undefined) return null;
  const negative = text.startsWith("-");
  const [whole, fraction = ""] = text.replace("-", "").split(".");
  const value = BigInt(whole + fraction.padEnd(14, "0").slice(0, 14));
  return negative ? -value : value;
}

function addUnits(values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  return known.length ? known.reduce((sum, value) => sum + value, 0n) : null;
}

/* Rounded half away from zero, as SQL rounds decimals. */
function divide(value, by) {
  const negative = (value < 0n) !== (by < 0n);
  const a = value < 0n ? -value : value;
  const b = by < 0n ? -by : by;
  const quotient = (2n * a + b) / (2n * b);
  return negative ? -quotient : quotient;
}

function usd(value, sign = "") {
  if (value === null || value === undefined) return "–";
  const cents = divide(value, CENT);
  const size = cents < 0n ? -cents : cents;
  const text = `$${(size / 100n).toLocaleString("en-US")}.${String(size % 100n).padStart(2, "0")}`;
  return cents < 0n ? `−${text}` : sign + text;
}

/* Every digit there is, at least two: for files. */
function exactUsd(value) {
  if (value === null || value === undefined) return "";
  const size = value < 0n ? -value : value;
  const fraction = String(size % (100n * CENT)).padStart(14, "0").replace(/0+$/, "").padEnd(2, "0");
  return `${value < 0n ? "-" : ""}${size / (100n * CENT)}.${fraction}`;
}

const dollars = (value) => Number(value) / 1e14; /* where it is drawn */
const count = (value) => (value === null || value === undefined ? "–" : Number(value).toLocaleString("en-US"));

const many = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

function short(value) {
  if (value === null || value === undefined) return "–";
  const steps = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]];
  const step = steps.find(([size]) => Math.abs(value) >= size);
  return step ? `${(value / step[0]).toFixed(1)} ${step[1]}` : count(value);
}

/* Per cent with one decimal; both are integers. */
function percent(part, whole) {
  if (part === null || whole === null || !whole) return null;
  return Number(divide(BigInt(part) * 1000n, BigInt(whole))) / 10;
}
const percentText = (value, sign = "") =>
  value === null ? "–" : `${value < 0 ? "−" : sign}${Math.abs(value).toLocaleString("en-US", {
    minimumFractionDigits: 1, maximumFractionDigits: 1 })} %`;

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const LONG_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
  "November", "December"];
const dayOf = (iso) => Math.round(Date.parse(`${iso}T00:00:00Z`) / DAY);
const isoOf = (day) => new Date(day * DAY).toISOString().slice(0, 10);
const monthStart = (day) => dayOf(`${isoOf(day).slice(0, 7)}-01`);
const monthEnd = (day) => { const d = new Date(day * DAY); return Date.UTC(d.getUTCFullYear(), d.getUTCMonth() + 1, 0) / DAY; };
const dayOfMonth = (day) => new Date(day * DAY).getUTCDate();
const monthName = (day) => `${LONG_MONTHS[new Date(day * DAY).getUTCMonth()]} ${new Date(day * DAY).getUTCFullYear()}`;
function dateText(day, year = false) {
  const date = new Date(day * DAY);
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}${year ? ` ${date.getUTCFullYear()}` : ""}`;
}
function spanText(first, last) {
  if (first === last) return dateText(first, true);
  const isOneMonth = isoOf(first).slice(0, 7) === isoOf(last).slice(0, 7);
  return `${isOneMonth ? dayOfMonth(first) : dateText(first, isoOf(first).slice(0, 4) !== isoOf(last).slice(0, 4))} to ${dateText(last, true)}`;
}

/* Elements are only ever made of nodes and text: what comes from elsewhere is never markup. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(node.style, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/* A cell that a spreadsheet would take for a formula is made text. */
function csvText(value) {
  const text = value === null || value === undefined ? "" : String(value);
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/* How a value of each kind is shown, sorted and written to a file. */
const KINDS = {
  text: { show: (value) => (value === null || value === undefined || value === "" ? "–" : el("bdi", {}, String(value))), key: (value) => String(value ?? "").toLowerCase(), file: csvText },
  sentence: { show: (value) => (value ? el("bdi", {}, value) : "–"), key: (value) => String(value ?? "").toLowerCase(), file: csvText },
  usd: { show: (value) => usd(value), key: (value) => (value === null ? null : value), file: exactUsd, isNumber: true },
  change: { show: (value) => usd(value, "+"), key: (value) => value, file: exactUsd, isNumber: true },
  count: { show: count, key: (value) => value, file: (value) => value ?? "", isNumber: true },
  short: { show: (value) => (value === null || value === undefined ? "–" : el("span", { title: count(value) }, short(value))), key: (value) => value, file: (value) => value ?? "", isNumber: true },
  percent: { show: (value) => percentText(value), key: (value) => value, file: (value) => value ?? "", isNumber: true },
  date: { show: (value) => (value === null ? "–" : dateText(value, true)), key: (value) => value, file: (value) => (value === null ? "" : isoOf(value)), isDate: true },
  month: { show: (value) => (value === null ? "–" : monthName(value)), key: (value) => value, file: (value) => (value === null ? "" : isoOf(value).slice(0, 7)), isDate: true },
};

function compare(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined) return 1;
  if (b === null || b === undefined) return -1;
  return a < b ? -1 : 1;
}

function download(name, columns, rows) {
  const lines = [columns.map((column) => csvText(column.label)).join(","),
    ...rows.map((row) => columns.map((column) => KINDS[column.kind].file(row[column.key])).join(","))];
  const address = URL.createObjectURL(new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv;charset=utf-8" }));
  const link = el("a", { href: address, download: `${name}.csv` });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
