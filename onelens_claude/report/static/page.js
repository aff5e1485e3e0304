"use strict";
/* The page itself: unpacking, filters and their address, theme, and how cards, tables and charts are made. */

const FILTERS = { organization: "organisation", person: "person", product: "product", model: "model", dates: "from and to", to: "month of To", split: "split" };
const STATUS = { ok: "within", warning: "warned", exceeded: "exceeded", forecast_exceeded: "forecast above", open: "open", resolved: "resolved", revised_away: "revised away" };
const MOST_BEHIND = 400;
const ERRORS_ONLY = 1; /* Vega warns of a layer without rows, which is what an empty state is */
const byId = (id) => document.getElementById(id);
const charts = new Map(); /* panel to its Vega view */
const drawn = new Map(); /* panel to the filters it was drawn for */
const sorted = new Map(); /* table to its column and direction */
const opened = new Set(); /* tables that show every row */
let filter;

async function unpack(id) {
  const bytes = Uint8Array.from(atob(byId(id).textContent), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

/* ---- data as the panels need it --------------------------------------------------------------------------------- */

const AS = {
  day: (value) => (value === null ? null : dayOf(value)),
  usd: units,
  number: (value) => (value === null ? null : Number(value)),
  status: (value) => STATUS[value] ?? value,
  kind: (value) => value.replaceAll("_", " "),
};
const DECODED = {
  organizations: { first_known_date: ["day", "first"], newest_cost_date: ["day", "newest"], complete_through: ["day", "complete"], final_through: ["day", "final"], adoption_complete_through: ["day", "adoption"] },
  budgets: { period_start: ["day", "start"], period_end: ["day", "end"], limit_usd: ["usd", "limit"], spent_usd: ["usd", "spent"], percent_used: ["number", "percent"], status: ["status", "statusText"] },
  forecast: { month: ["day", "month"], forecast_date: ["day", "on"], forecast_usd: ["usd", "forecast"], low_usd: ["usd", "low"], high_usd: ["usd", "high"] },
  anomalies: { activity_date: ["day", "day"], impact_usd: ["usd", "impact"], status: ["status", "statusText"], kind: ["kind", "kindText"] },
  adoption: { activity_date: ["day", "day"] },
  economics: { month: ["day", "month"], first_covered_date: ["day", "first"], last_covered_date: ["day", "last"], total_cost_usd: ["usd", "total"], known_active_user_count: ["number", "active"] },
  cache: { activity_date: ["day", "day"], net_savings_usd: ["usd", "saved"] },
  premium: { activity_date: ["day", "day"], amount_usd: ["usd", "amount"], premium_usd: ["usd", "premium"] },
  idle: { as_of_date: ["day", "as_of"] },
  projects: { month: ["day", "month"] },
  skills: { month: ["day", "month"], list_price_usd: ["usd", "list_price"] },
  connectors: { month: ["day", "month"] },
  completeness: { activity_date: ["day", "day"], total_usd: ["usd", "total"], cost_state: ["kind", "costText"], finality: ["kind", "finalityText"] },
  revisions: { activity_date: ["day", "day"], fetched_on: ["day", "fetched"], total_usd: ["usd", "total"], change_usd: ["usd", "change"] },
  changes: { month: ["day", "month"], first_compared_date: ["day", "first"], last_compared_date: ["day", "last"], previous_usd: ["usd", "previous"], current_usd: ["usd", "current"],
    ...Object.fromEntries(Object.keys(EFFECTS).map((effect) => [effect, ["usd", effect]])) },
  teams: { month: ["day", "month"], amount_usd: ["usd", "paid"], list_amount_usd: ["usd", "list"] },
  savings: { month: ["day", "month"], spent_usd: ["usd", "spent"], avoidable_usd: ["usd", "avoidable"] },
};

function prepare() {
  organizations = data.tables.organizations.rows;
  people = data.spend.people;
  products = data.about.product_names;
  models = data.about.model_names;
  const numbers = new Map(organizations.map((one, number) => [one.organization_id, number]));
  for (const [name, table] of Object.entries(data.tables)) {
    for (const row of table.rows) {
      for (const [from, [as, to]] of Object.entries(DECODED[name])) row[to] = AS[as](row[from]);
      row.organization = numbers.get(row.organization_id);
      row.organizationName = organizations[row.organization]?.name;
    }
  }
  const days = [...data.spend.by_day.day, ...organizations.flatMap((one) => [one.first, one.newest]).filter((day) => day !== null)];
  first = days.length ? days.reduce((a, b) => Math.min(a, b)) : null;
  newest = days.length ? days.reduce((a, b) => Math.max(a, b)) : null;
}

const personKey = (n) => people.id[n] ?? (people.kind[n] === "user" ? people.label[n].replace(" ", "-") : `${people.kind[n]}.${organizations[people.organization[n]].organization_id}`);
function colours() {
  const theme = isDark() ? "dark" : "light";
  return { ...data.about.colours[theme], theme: data.themes[theme], quiet: data.themes[theme].quiet };
}

/* ---- filters and the address ------------------------------------------------------------------------------------ */

function defaults() {
  const start = monthStart(newest);
  /* in the first days of a month there is little to see in it alone */
  return { organization: null, person: null, product: null, model: null, from: Math.max(first, newest - start < 6 ? monthStart(start - 1) : start), to: newest, split: "product" };
}
const SPLITS = { product: "Product", model: "Model", person: "Person", organization: "Organisation" };
function presets() {
  const start = monthStart(newest);
  const clamp = (day) => Math.max(first, day);
  return { "This month": [clamp(start), newest], "Month before": [clamp(monthStart(start - 1)), clamp(start - 1)], "90 days": [clamp(newest - 89), newest], "All days": [first, newest] };
}

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const state = defaults();
  const find = (name, values) => { const at = given.has(name) ? values.indexOf(given.get(name)) : -1; return at < 0 ? null : at; };
  state.organization = find("organization", organizations.map((one) => one.organization_id));
  state.product = find("product", data.spend.products);
  state.model = find("model", data.spend.models);
  state.person = find("person", people.label.map((_, n) => personKey(n)));
  if (given.get("split") in SPLITS) state.split = given.get("split");
  const day = (name, other) => {
    const value = dayOf(given.get(name) ?? "");
    return Number.isFinite(value) ? Math.min(newest, Math.max(first, value)) : other;
  };
  state.to = day("to", state.to);
  state.from = Math.min(day("from", Math.min(state.from, monthStart(state.to) < first ? first : Math.max(first, monthStart(state.to)))), state.to);
  if (state.person !== null && state.organization !== null && people.organization[state.person] !== state.organization) state.person = null;
  return state;
}

function address(state) {
  const usual = defaults();
  const given = new URLSearchParams();
  if (state.organization !== null) given.set("organization", organizations[state.organization].organization_id);
  if (state.person !== null) given.set("person", personKey(state.person));
  if (state.product !== null) given.set("product", data.spend.products[state.product]);
  if (state.model !== null) given.set("model", data.spend.models[state.model]);
  if (state.from !== usual.from || state.to !== usual.to) { given.set("from", isoOf(state.from)); given.set("to", isoOf(state.to)); }
  if (state.split !== usual.split) given.set("split", state.split);
  return given.toString();
}

function choose(changes) {
  const state = { ...filter, ...changes };
  if (state.from > state.to) { if ("from" in changes) state.to = state.from; else state.from = state.to; }
  if (state.person !== null && state.organization !== null && people.organization[state.person] !== state.organization) state.person = null;
  const hash = address(state);
  if (hash === location.hash.slice(1)) { filter = state; draw(); return; }
  history.pushState(null, "", `#${hash}`);
  filter = state;
  draw();
}

function options(id, all, labels, chosen) {
  const select = byId(id);
  select.replaceChildren(...(all === null ? [] : [el("option", { value: "" }, all)]), ...labels.map(([value, label]) => el("option", { value }, label)));
  select.value = chosen === null ? "" : String(chosen);
}

function showFilters() {
  options("organization", "All organisations", organizations.map((one, n) => [n, one.name]), filter.organization);
  const shown = people.label.map((label, n) => [n, people.detail[n] ? `${label} (${people.detail[n]})` : label])
    .filter(([n]) => filter.organization === null || people.organization[n] === filter.organization)
    .map(([n, label]) => [n, people.kind[n] === "user" || organizations.length < 2 ? label : `${label}, ${organizations[people.organization[n]].name}`]);
  const named = shown.filter(([n]) => people.kind[n] === "user").sort((a, b) => a[1].localeCompare(b[1]));
  options("person", "Everybody", [...named, ...shown.filter(([n]) => people.kind[n] !== "user")], filter.person);
  options("product", "All products", products.map((name, n) => [n, name]), filter.product);
  options("model", "All models", models.map((name, n) => [n, name]), filter.model);
  options("split", null, Object.entries(SPLITS), filter.split);
  for (const name of ["from", "to"]) {
    const input = byId(name);
    Object.assign(input, { min: isoOf(first), max: isoOf(newest), value: isoOf(filter[name]) });
  }
  byId("presets").replaceChildren(...Object.entries(presets()).map(([label, [from, to]]) => el("button", { type: "button",
    "aria-pressed": String(filter.from === from && filter.to === to), onclick: () => choose({ from, to }) }, label)));
  byId("reset").disabled = address(filter) === "";
  byId("printed").textContent = `Shown: ${[filter.organization === null ? "all organisations" : organizations[filter.organization].name,
    filter.person === null ? "everybody" : people.label[filter.person], filter.product === null ? "all products" : products[filter.product],
    filter.model === null ? "all models" : models[filter.model], spanText(filter.from, filter.to)].join(", ")}.`;
}

function listen() {
  for (const name of ["organization", "person", "product", "model"]) {
    byId(name).addEventListener("change", (event) => choose({ [name]: event.target.value === "" ? null : Number(event.target.value) }));
  }
  byId("split").addEventListener("change", (event) => choose({ split: event.target.value }));
  for (const name of ["from", "to"]) {
    byId(name).addEventListener("change", (event) => {
      const day = dayOf(event.target.value);
      choose({ [name]: Number.isFinite(day) ? Math.min(newest, Math.max(first, day)) : defaults()[name] });
    });
  }
  byId("reset").addEventListener("click", () => choose(defaults()));
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("popstate", () => { filter = readAddress(); draw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

/* ---- theme ------------------------------------------------------------------------------------------------------ */

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
function redraw() {
  for (const view of charts.values()) view.finalize();
  charts.clear();
  drawn.clear();
  showTheme();
  draw();
}
function showTheme() {
  const button = byId("theme");
  button.textContent = isDark() ? "Light" : "Dark";
  button.setAttribute("aria-label", `Use the ${isDark() ? "light" : "dark"} theme`);
}

/* ---- header, cards, panels --------------------------------------------------------------------------------------- */

function showHeader() {
  const { about } = data;
  const plans = { usage: "usage plan", seat: "seat plan, cost without subscriptions" };
  byId("badges").replaceChildren(
    el("span", { class: about.is_demo ? "badge made-up" : "badge" }, about.is_demo ? "Made-up data" : "Live data"),
    ...(about.is_redacted ? [el("span", { class: "badge" }, "Names removed")] : []),
    el("button", { type: "button", id: "theme", onclick: () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; redraw(); } }));
  const span = (values) => { const known = values.filter((value) => value !== null); return known.length < values.length ? null : Math.min(...known); };
  const facts = [
    ["Costs complete to", organizations.length ? dateOrNot(span(organizations.map((one) => one.complete))) : "nothing loaded"],
    ["Adoption complete to", organizations.length ? dateOrNot(span(organizations.map((one) => one.adoption))) : "nothing loaded"],
    ["Days that may change", organizations.map((one) => `${count(one.provisional_day_count)}${organizations.length > 1 ? ` ${one.name}` : ""}`).join(", ") || "–"],
    ["Built", `${about.built_at} UTC`],
    ["Plan", [...new Set(organizations.map((one) => `${organizations.length > 1 ? `${one.name}: ` : ""}${plans[one.plan] ?? one.plan}`))].join("; ") || "–"],
  ];
  byId("facts").replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  byId("footer").replaceChildren(el("p", {}, `onelens_claude ${about.version}. Every amount is a sum of what the marts hold, exact to the last digit and shown to the cent. All days are UTC.`),
    ...(about.dagster_url ? [el("p", {}, el("a", { href: about.dagster_url, rel: "noreferrer" }, "Open Dagster"))] : []));
}
const dateOrNot = (day) => (day === null || !Number.isFinite(day) ? "not known" : dateText(day, true));

/* Only what a panel says acts on it reaches it. */
function filterOf(names) {
  const acting = new Set(names.split(" "));
  const keep = (name) => (acting.has(name) ? filter[name] : null);
  const to = acting.has("dates") || acting.has("to") ? filter.to : newest;
  return { organization: keep("organization"), person: keep("person"), product: keep("product"), model: keep("model"),
    from: acting.has("dates") ? filter.from : first, to, split: keep("split") };
}

function showCards() {
  byId("cards").replaceChildren(...cards(filter).map((one) => el("article", { class: `card ${one.tone}`, "data-card": one.title },
    el("h3", {}, one.title), el("p", { class: "value" }, one.value), ...one.lines.map((line) => el("p", { class: "line" }, line)), acts(one.filters))));
}
const acts = (names) => el("p", { class: "acts" }, `Follows ${names.split(" ").map((name) => FILTERS[name]).join(", ")}`);

function draw() {
  showFilters();
  const started = performance.now();
  showCards();
  const pending = [];
  for (const node of document.querySelectorAll("[data-panel]")) {
    const own = filterOf(node.dataset.filters);
    const key = JSON.stringify(own);
    if (drawn.get(node) === key) continue;
    drawn.set(node, key);
    pending.push(drawPanel(node, own));
  }
  const settled = Promise.all(pending).then(() => { document.body.dataset.drawn = String(Math.round(performance.now() - started)); });
  delete document.body.dataset.drawn;
  return settled;
}

async function drawPanel(node, own) {
  const name = node.dataset.panel;
  const result = PANELS[name](own, colours());
  let body = node.querySelector(".body");
  if (!body) {
    node.append(el("p", { class: "lead" }), el("div", { class: "body" }, el("ul", { class: "legend" }), el("div", { class: "chart" }), el("div", { class: "tables" })), el("p", { class: "note" }), acts(node.dataset.filters));
    body = node.querySelector(".body");
  }
  const [lead, note, legend, chart, tables] = [".lead", ".note", ".legend", ".chart", ".tables"].map((one) => node.querySelector(one));
  lead.textContent = result.lead ?? "";
  note.textContent = result.note ?? "";
  lead.hidden = !result.lead;
  note.hidden = !result.note;
  node.classList.toggle("is-empty", Boolean(result.empty));
  const title = node.querySelector("h3").textContent;
  tables.replaceChildren(...(result.empty ? [el("div", { class: "empty" }, el("p", {}, result.empty), result.todo ? el("p", {}, result.todo) : null)] : []),
    ...(result.behind ? [behind(name, title, result.behind)] : []), ...(result.table ? [table(name, title, result.table)] : []));
  legend.replaceChildren(...(result.chart?.legend ?? []).map((one) => el("li", {}, el("span", { class: `swatch${one.isDashed ? " dashed" : ""}${one.isDot ? " dot" : ""}`, style: { color: one.colour } }), el("bdi", {}, one.label), one.value ? el("span", { class: "amount" }, one.value) : null)));
  legend.hidden = !result.chart?.legend.length;
  chart.hidden = !result.chart;
  if (result.chart) await drawChart(name, chart, result.chart);
}

async function drawChart(name, node, { rows, say }) {
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", `${say} The figures are in the table below the chart.`);
  const view = charts.get(node);
  if (view) {
    view.data("rows", rows);
    await view.resize().runAsync();
    return;
  }
  const place = el("div", { class: "drawing", "aria-hidden": "true" });
  node.replaceChildren(place);
  const spec = { ...data.charts[name], data: { name: "rows", values: rows } };
  const made = await vegaEmbed(place, spec, { ast: true, actions: false, renderer: "svg", defaultStyle: false, logLevel: ERRORS_ONLY, config: data.configs[isDark() ? "dark" : "light"], tooltip: { theme: isDark() ? "dark" : "light" } });
  charts.set(node, made.view);
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

function behind(name, title, { columns, rows }) {
  const node = el("details", { class: "behind" }, el("summary", {}, "Figures of this chart"));
  node.addEventListener("toggle", () => { if (node.open && node.children.length === 1) node.append(table(`${name}-chart`, `${title}: figures of the chart`, { columns, rows })); });
  return node;
}

function table(name, title, { columns, rows }) {
  const node = el("div", { class: "table" });
  const fill = () => {
    const order = sorted.get(name);
    const column = order && columns.find((one) => one.key === order.key);
    const ordered = column ? [...rows].sort((a, b) => order.sign * compare(KINDS[column.kind].key(a[column.key] ?? null), KINDS[column.kind].key(b[column.key] ?? null))) : rows;
    const most = opened.has(name) ? MOST_BEHIND * 3 : SHOWN;
    const head = columns.map((one) => {
      const direction = order?.key === one.key ? (order.sign > 0 ? "ascending" : "descending") : null;
      const isNumber = KINDS[one.kind].isNumber;
      const turn = () => { sorted.set(name, { key: one.key, sign: order?.key === one.key ? -order.sign : isNumber ? -1 : 1 }); fill(); node.querySelector(`[data-key="${one.key}"]`).focus(); };
      return el("th", { scope: "col", class: isNumber ? "number" : null, "aria-sort": direction }, el("button", { type: "button", "data-key": one.key, onclick: turn }, one.label));
    });
    const body = ordered.slice(0, most).map((row) => el("tr", {}, columns.map((one, n) => cell(one, row, n === 0))));
    const more = ordered.length - Math.min(most, ordered.length);
    node.replaceChildren(
      el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": title }, el("table", { "data-table": name }, el("caption", { class: "unseen" }, title), el("thead", {}, el("tr", {}, head)), el("tbody", {}, body))),
      el("div", { class: "below" }, more > 0 || opened.has(name) ? el("span", {}, more > 0 ? `${count(ordered.length - more)} of ${count(ordered.length)} rows` : `${count(ordered.length)} rows`) : null,
        ordered.length > SHOWN ? el("button", { type: "button", onclick: () => { if (!opened.delete(name)) opened.add(name); fill(); } }, opened.has(name) ? "Show fewer" : "Show all") : null,
        el("button", { type: "button", class: "csv", "aria-label": `${title} as CSV`, onclick: () => download(name, columns, ordered) }, "CSV")));
  };
  fill();
  return node;
}

function cell(column, row, isHead) {
  const kind = KINDS[column.kind];
  const value = row[column.key] ?? null;
  const parts = [column.bar ? el("span", { class: "beside" }, kind.show(value)) : kind.show(value)];
  if (column.swatch) parts.unshift(el("span", { class: "swatch", style: { color: row[column.swatch] } }));
  if (column.detail && row[column.detail]) parts.push(el("bdi", { class: "detail" }, row[column.detail]));
  if (column.bar) {
    const width = `${Math.max(0, Math.min(100, value ?? 0))}%`;
    const colour = column.bar === "status" ? `var(--${row.status === "exceeded" ? "bad" : row.status === "ok" ? "good" : "warn"})` : row[column.bar];
    parts.unshift(el("span", { class: "bar", "aria-hidden": "true" }, el("span", { style: { width, background: colour } })));
  }
  return el(isHead ? "th" : "td", { scope: isHead ? "row" : null, class: `${kind.isNumber ? "number" : kind.isDate ? "date" : column.kind}${column.bar ? " barred" : ""}` }, parts);
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

async function start() {
  if (!("DecompressionStream" in window)) throw new Error("this browser is too old; use one of 2023 or later");
  data = JSON.parse(await unpack("data"));
  document.head.append(el("script", {}, await unpack("library"))); /* the policy of this page names it by its hash */
  prepare();
  showHeader();
  showTheme();
  if (newest === null) {
    byId("filters").hidden = true;
    document.querySelector("main").replaceChildren(el("div", { class: "panel is-empty" }, el("div", { class: "empty" }, el("p", {}, "No day of cost is loaded yet."), el("p", {}, "Run `onelens-claude backfill`; it builds this page anew when it is done."))));
    document.body.dataset.drawn = "0";
    return;
  }
  filter = readAddress();
  listen();
  await draw();
}
start().catch((error) => {
  byId("problem").hidden = false;
  byId("problem").textContent = `The page could not be drawn: ${error.message}.`;
  throw error;
});
