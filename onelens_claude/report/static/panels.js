"use strict";
/* What each panel shows: rows for its chart and its table out of the data and the filters. Nothing here touches the
   address, the theme or Vega (page.js). */

const NO_ACCOUNT = "No user account";
const SHOWN = 15;
let data, people, organizations, products, models, first, newest;

/* ---- the lines that the filters choose ------------------------------------------------------------------------- */

/* Visit each line from `from` to `to`; by person where the filters or the caller ask for people. A person's older days
   are kept as months without product (-1) and model, so a range that begins there counts whole months, and with a
   product or a model chosen it begins later: `foldedNote` says so. */
function scan(filter, from, to, visit, byPerson = false) {
  const isByPerson = byPerson || filter.person !== null;
  const lines = isByPerson ? data.spend.by_person : data.spend.by_day;
  const folded = monthsBefore();
  const start = isByPerson && from < folded ? monthStart(from) : from;
  for (let i = 0; i < lines.day.length; i += 1) {
    const day = lines.day[i];
    if (day < start || day > to) continue;
    if (filter.product !== null && lines.product[i] !== filter.product) continue;
    if (filter.model !== null && lines.model[i] !== filter.model) continue;
    const person = isByPerson ? lines.person[i] : null;
    const organization = isByPerson ? people.organization[person] : lines.organization[i];
    if (filter.organization !== null && organization !== filter.organization) continue;
    if (filter.person !== null && person !== filter.person) continue;
    visit(lines, i, organization, person);
  }
}
const monthsBefore = () => (data.spend.months_before === null ? -Infinity : dayOf(data.spend.months_before));
const widened = (filter, byPerson) => (byPerson || filter.person !== null) && filter.from < monthsBefore();

function totals(filter, from, to, byPerson = false) {
  const paid = new Sum();
  const list = new Sum();
  scan(filter, from, to, (lines, i) => {
    paid.add(lines.paid[i], lines.paid_rest[i]);
    list.add(lines.list[i], lines.list_rest[i]);
    list.unknown ||= Boolean(lines.list_unknown[i]);
  }, byPerson);
  return { paid: paid.units, list: list.unknown ? null : list.units, lines: paid.count };
}

function grouped(filter, key, byPerson = false) {
  const groups = new Map();
  scan(filter, filter.from, filter.to, (lines, i, organization, person) => {
    const name = key(lines, i, organization, person);
    let group = groups.get(name);
    if (!group) {
      group = { key: name, paid: new Sum(), list: new Sum(), tokens: 0, requests: 0, days: 0, lastDay: null };
      groups.set(name, group);
    }
    group.paid.add(lines.paid[i], lines.paid_rest[i]);
    group.list.add(lines.list[i], lines.list_rest[i]);
    group.list.unknown ||= Boolean(lines.list_unknown[i]);
    group.tokens += lines.tokens ? lines.tokens[i]
      : lines.uncached[i] + lines.cache_read[i] + lines.cache_write[i] + lines.output[i];
    group.requests += lines.requests ? lines.requests[i] : 0;
    if (lines.day[i] !== group.lastDay && lines.day[i] >= monthsBefore()) group.days += 1; /* by person they are in order */
    group.lastDay = lines.day[i];
  }, byPerson);
  return [...groups.values()];
}

const inOrganization = (filter) => (row) => filter.organization === null || row.organization === filter.organization;
const inDays = (filter) => (row) => row.day >= filter.from && row.day <= filter.to;
const inMonths = (filter) => (row) => row.month >= monthStart(filter.from) && row.month <= filter.to;
const ofPerson = (filter) => (row) => filter.person === null || row.person === filter.person;
function rowsOf(name, ...tests) { return data.tables[name].rows.filter((row) => tests.every((test) => test(row))); }
const missing = (name) => data.tables[name].missing;

function absent(name) {
  return { empty: `There is nothing to show: this warehouse has no ${missing(name)} yet.`, todo: "The next `onelens-claude daily` of a version that has it builds it." };
}
const NOTHING = { empty: "Nothing matches these filters.", todo: "Choose a longer range of days, or clear the filters." };
const organizationColumn = () => (organizations.length > 1 ? [{ key: "organizationName", label: "Organisation", kind: "text" }] : []);

/* ---- budgets, forecast ------------------------------------------------------------------------------------------ */

/* Which scope a budget or a forecast must have to be about what the filters choose; null where none can. */
function scopeOf(filter) {
  const chosen = ["person", "product", "model"].filter((name) => filter[name] !== null);
  if (chosen.length > 1) return null;
  if (!chosen.length) return { scope: "organization", is: () => true };
  if (chosen[0] === "person") return { scope: "user", is: (row) => row.person === filter.person };
  const names = chosen[0] === "product" ? data.spend.products : data.spend.models;
  return { scope: chosen[0], is: (row) => row.about === names[filter[chosen[0]]] };
}

function budgetOf(filter) {
  const scope = scopeOf(filter);
  if (!scope || missing("budgets")) return null;
  const month = monthStart(filter.to);
  const tightest = new Map();
  for (const row of rowsOf("budgets", inOrganization(filter))) {
    if (row.scope !== scope.scope || row.period !== "monthly" || row.start !== month || !scope.is(row)) continue;
    const known = tightest.get(row.organization);
    if (!known || row.percent > known.percent) tightest.set(row.organization, row);
  }
  const rows = [...tightest.values()];
  if (!rows.length) return null;
  const of = filter.organization === null && filter.person === null ? organizations.length : 1;
  return { rows, of, limit: addUnits(rows.map((row) => row.limit)), spent: addUnits(rows.map((row) => row.spent)) };
}

function forecastOf(filter) {
  const scope = scopeOf(filter);
  if (missing("forecast")) return { why: `This warehouse has no ${missing("forecast")} yet.` };
  if (!scope) return { why: "A forecast is made of one person, product or model." };
  const month = monthStart(filter.to);
  if (monthEnd(month) <= newest) return { why: `${monthName(month)} is over.` };
  const rows = rowsOf("forecast", inOrganization(filter)).filter((row) => row.scope === scope.scope && row.month === month && scope.is(row));
  if (!rows.length) return { why: "Nothing is forecast for this month." };
  const forecast = rows.every((row) => row.forecast !== null) ? addUnits(rows.map((row) => row.forecast)) : null;
  if (forecast === null) return { why: "There are too few days to say." };
  if (rows.length > 1) return { forecast, on: rows[0].on, rangeWhy: "Choose one organisation to see its range." };
  const [one] = rows;
  if (one.low === null || one.high === null) return { forecast, on: one.on, rangeWhy: "No range yet: too little history." };
  return { forecast, on: one.on, low: one.low, high: one.high };
}

/* ---- cards ------------------------------------------------------------------------------------------------------ */

function knownDays() {
  const known = new Map(organizations.map((_, number) => [number, new Set()]));
  for (const row of data.tables.completeness.rows) {
    if (row.cost_state !== "missing" && row.finality !== "incomplete") known.get(row.organization).add(row.day);
  }
  return known;
}

/* This month against the days of the month before that are known in both, by organisation. */
function changeOf(filter, known) {
  const start = monthStart(filter.to);
  const before = monthStart(start - 1);
  const days = Array.from({ length: filter.to - start + 1 }, (_, n) => n);
  let current = 0n;
  let previous = 0n;
  const compared = new Set();
  const here = new Map();
  scan(filter, before, filter.to, (lines, i, organization) => {
    const key = `${organization}/${lines.day[i]}`;
    if (!here.has(key)) here.set(key, new Sum());
    here.get(key).add(lines.paid[i], lines.paid_rest[i]);
  });
  for (const [organization, known_days] of known) {
    if (filter.organization !== null && organization !== filter.organization) continue;
    for (const n of days) {
      if (before + n >= start || !known_days.has(start + n) || !known_days.has(before + n)) continue;
      compared.add(start + n);
      current += here.get(`${organization}/${start + n}`)?.units ?? 0n;
      previous += here.get(`${organization}/${before + n}`)?.units ?? 0n;
    }
  }
  return compared.size ? { current, previous, first: Math.min(...compared), last: Math.max(...compared) } : null;
}

function card(title, value, lines, filters, tone = "") {
  return { title, value, lines: lines.filter(Boolean), filters, tone };
}

function cards(filter) {
  const start = monthStart(filter.to);
  const spent = totals(filter, start, filter.to);
  const provisional = new Set(rowsOf("completeness", inOrganization(filter))
    .filter((row) => row.day >= start && row.day <= filter.to && row.finality !== "final").map((row) => row.day)).size;
  const discount = spent.list === null || spent.list === 0n ? null : percent(spent.list - spent.paid, spent.list);
  const cardsOf = [card("Month to date", usd(spent.paid), [
    spanText(start, filter.to),
    discount === null ? null : `list price ${usd(spent.list)}, ${percentText(discount)} below it`,
    provisional ? `${count(provisional)} ${provisional === 1 ? "day" : "days"} may still change` : "all days are final",
  ], "organization person product model to")];

  const budget = budgetOf(filter);
  if (budget) {
    const used = percent(budget.spent, budget.limit);
    cardsOf.push(card("Budget used", percentText(used), [
      `${usd(budget.spent)} of ${usd(budget.limit)}`,
      budget.rows.length < budget.of ? `${budget.rows.length} of ${budget.of} organisations have a budget` : null,
      budget.spent > budget.limit ? "exceeded" : null,
    ], "organization person product model to", used > 100 ? "bad" : used >= 80 ? "warn" : "good"));
  } else {
    cardsOf.push(card("Budget used", "No budget", [
      missing("budgets") ? `This warehouse has no ${missing("budgets")} yet.` : "No monthly budget covers this choice; `budgets` in onelens.yaml sets one.",
    ], "organization person product model to"));
  }

  const ahead = forecastOf(filter);
  cardsOf.push(card("Forecast for the month", ahead.forecast === undefined ? "No forecast" : usd(ahead.forecast), [
    ahead.why, ahead.low === undefined ? ahead.rangeWhy : `between ${usd(ahead.low)} and ${usd(ahead.high)}`,
    ahead.on === undefined ? null : `as of ${dateText(ahead.on)}`,
  ], "organization person product model to", ahead.forecast !== undefined && budget && budget.rows.length === budget.of && ahead.forecast > budget.limit ? "warn" : ""));

  const change = changeOf(filter, knownDays());
  cardsOf.push(change ? card("Against the month before",
    change.previous === 0n ? usd(change.current - change.previous, "+") : percentText(percent(change.current - change.previous, change.previous), "+"), [
      `${usd(change.current - change.previous, "+")}: ${usd(change.current)} after ${usd(change.previous)}`,
      `${spanText(change.first, change.last)}, and the same days before`,
    ], "organization person product model to")
    : card("Against the month before", "No comparison", ["No day is complete in both months."], "organization person product model to"));

  const seats = newestAdoption(filter);
  cardsOf.push(seats ? card("Active people", count(seats.monthly), [
    seats.seats ? `${percentText(percent(seats.monthly, seats.seats))} of ${count(seats.seats)} seats in 30 days` : "seats are not known",
    `${count(seats.weekly)} in 7 days, ${count(seats.daily)} on ${dateText(seats.day)}`,
  ], "organization to") : card("Active people", "Not known", ["No day of adoption is loaded up to this date."], "organization to"));

  if (missing("anomalies")) {
    cardsOf.push(card("Open anomalies", "Not known", [`This warehouse has no ${missing("anomalies")} yet.`], "organization person"));
  } else {
    const open = rowsOf("anomalies", inOrganization(filter), ofPerson(filter)).filter((row) => row.status === "open");
    const incidents = new Set(open.map((row) => row.incident_id));
    const largest = open.reduce((most, row) => (row.impact !== null && (most === null || row.impact > most) ? row.impact : most), null);
    cardsOf.push(card("Open anomalies", count(incidents.size), [
      incidents.size ? `the largest ${usd(largest)} above what is usual` : "nothing unusual is open",
    ], "organization person", incidents.size ? "warn" : "good"));
  }

  const economics = rowsOf("economics", inOrganization(filter)).filter((row) => row.month === start && row.active);
  const total = addUnits(economics.map((row) => row.total));
  const active = economics.reduce((sum, row) => sum + row.active, 0);
  cardsOf.push(active && total !== null ? card("Cost per active person", usd(divide(total, BigInt(active))), [
    `${usd(total)} over ${count(active)} people with activity`,
    spanText(Math.min(...economics.map((row) => row.first)), Math.max(...economics.map((row) => row.last))),
  ], "organization to") : card("Cost per active person", "Not known", ["No day of this month has both cost and activity."], "organization to"));
  return cardsOf;
}

function newestAdoption(filter) {
  const newestOf = new Map();
  for (const row of rowsOf("adoption", inOrganization(filter))) {
    if (row.day <= filter.to && row.monthly_active_user_count !== null) newestOf.set(row.organization, row);
  }
  const rows = [...newestOf.values()];
  if (!rows.length) return null;
  const add = (name) => (rows.some((row) => row[name] === null) ? null : rows.reduce((sum, row) => sum + row[name], 0));
  return { monthly: add("monthly_active_user_count"), weekly: add("weekly_active_user_count"), daily: add("daily_active_user_count"),
    seats: add("assigned_seat_count"), day: Math.max(...rows.map((row) => row.day)) };
}

/* ---- panels ----------------------------------------------------------------------------------------------------- */

const PANELS = {};

PANELS.month = (filter, colours) => {
  const start = monthStart(filter.to);
  const before = monthStart(start - 1);
  const perDay = (from, to) => {
    const days = new Map();
    scan(filter, from, to, (lines, i) => {
      if (!days.has(lines.day[i])) days.set(lines.day[i], new Sum());
      days.get(lines.day[i]).add(lines.paid[i], lines.paid_rest[i]);
    });
    return days;
  };
  const cumulated = (begin, to, kind, name, colour) => {
    const from = Math.max(begin, first); /* nothing is known of the days before */
    const days = perDay(from, to);
    if (!days.size) return [];
    let sum = 0n;
    return Array.from({ length: to - from + 1 }, (_, n) => {
      const units = days.get(from + n)?.units ?? 0n;
      sum += units;
      return { kind, day: dayOfMonth(from + n), date: from + n, units, sum, usd: dollars(sum), colour,
        text: `${dateText(from + n)}: ${usd(sum)} in ${name} so far, ${usd(units)} that day` };
    });
  };
  const now = cumulated(start, filter.to, "this", monthName(start), colours.theme.accent);
  const then = cumulated(before, start - 1, "before", monthName(before), colours.theme.quiet);
  if (!now.length && !then.length) return NOTHING;
  const rows = [...then, ...now];
  const legend = [{ label: monthName(start), colour: colours.theme.accent }, { label: monthName(before), colour: colours.theme.quiet }];
  const budget = budgetOf(filter);
  if (budget && budget.rows.length === budget.of) {
    rows.push({ kind: "budget", usd: dollars(budget.limit), colour: colours.theme.bad, text: `Budget ${usd(budget.limit)}` });
    legend.push({ label: `Budget ${usd(budget.limit)}`, colour: colours.theme.bad, isDashed: true });
  }
  const ahead = forecastOf(filter);
  const last = now.at(-1);
  if (ahead.forecast !== undefined && last && filter.to < monthEnd(filter.to)) {
    const end = dayOfMonth(monthEnd(filter.to));
    const text = `Forecast for ${monthName(start)}: ${usd(ahead.forecast)}`;
    rows.push({ kind: "forecast", day: last.day, usd: last.usd, colour: colours.theme.accent, text: last.text },
      { kind: "forecast", day: end, usd: dollars(ahead.forecast), colour: colours.theme.accent, text });
    if (ahead.low !== undefined) {
      rows.push({ kind: "range", day: last.day, low: last.usd, high: last.usd, usd: last.usd, colour: colours.theme.band },
        { kind: "range", day: end, low: dollars(ahead.low), high: dollars(ahead.high), usd: dollars(ahead.low), colour: colours.theme.band });
    }
    legend.push({ label: `Forecast ${usd(ahead.forecast)}`, colour: colours.theme.accent, isDashed: true });
  }
  return {
    lead: last ? `${usd(last.sum)} from ${spanText(start, filter.to)}.` : `Nothing was spent in ${monthName(start)} so far.`,
    chart: { rows, legend, say: `Spend added up by day of the month: ${monthName(start)} beside ${monthName(before)}.` },
    behind: { columns: [{ key: "date", label: "Day", kind: "date" }, { key: "units", label: "Spend of the day (USD)", kind: "usd" }, { key: "sum", label: "Month to date (USD)", kind: "usd" }],
      rows: [...then, ...now] },
  };
};

PANELS.budgets = (filter) => {
  if (missing("budgets")) return absent("budgets");
  const rows = rowsOf("budgets", inOrganization(filter), ofPerson(filter)).filter((row) => row.start <= filter.to && row.end >= filter.to);
  if (!rows.length) return { empty: "No budget has a period that holds this day.", todo: "Set limits under `budgets` in onelens.yaml." };
  const order = { exceeded: 0, forecast_exceeded: 1, warning: 2, ok: 3 };
  rows.sort((a, b) => order[a.status] - order[b.status] || b.percent - a.percent);
  const over = rows.filter((row) => row.status === "exceeded").length;
  return {
    lead: over ? `${count(over)} of ${count(rows.length)} budgets are exceeded.` : `None of ${count(rows.length)} budgets is exceeded.`,
    note: data.tables.budgets.more ? `${count(data.tables.budgets.more)} more periods are in marts.budget_status.` : null,
    table: { columns: [...organizationColumn(), { key: "budget_id", label: "Budget", kind: "text" }, { key: "about", label: "For", kind: "text" },
      { key: "start", label: "Since", kind: "date" }, { key: "limit", label: "Limit (USD)", kind: "usd" }, { key: "spent", label: "Spent (USD)", kind: "usd" },
      { key: "percent", label: "Used", kind: "percent", bar: "status" }, { key: "statusText", label: "State", kind: "text" }], rows },
  };
};

function splitBy(filter) {
  const by = filter.split;
  if (by === "model") return { key: (lines, i) => lines.model[i], label: (n) => models[n] ?? unkept(), colour: (n, c) => c.model[n] ?? c.quiet };
  if (by === "organization") return { key: (lines, i, organization) => organization, label: (n) => organizations[n].name, colour: (n, c) => c.series[n % c.series.length] };
  if (by === "person") return { key: (lines, i, organization, person) => person, label: (n) => people.label[n], byPerson: true,
    colour: (n, c, place) => (people.kind[n] === "user" ? c.series[place % c.series.length] : c.quiet) };
  return { key: (lines, i) => lines.product[i], label: (n) => products[n] ?? unkept(), colour: (n, c) => c.product[n] ?? c.quiet };
}

const MOST_SERIES = 8;
PANELS.daily = (filter, colours) => {
  const split = splitBy(filter);
  const series = new Map();
  const all = new Sum();
  scan(filter, filter.from, filter.to, (lines, i, organization, person) => {
    const key = split.key(lines, i, organization, person);
    if (!series.has(key)) series.set(key, { sum: new Sum(), days: new Map() });
    const one = series.get(key);
    const day = lines.day[i];
    if (!one.days.has(day)) one.days.set(day, new Sum());
    one.days.get(day).add(lines.paid[i], lines.paid_rest[i]);
    one.sum.add(lines.paid[i], lines.paid_rest[i]);
    all.add(lines.paid[i], lines.paid_rest[i]);
  }, split.byPerson);
  if (!all.count) return NOTHING;
  const ranked = [...series.entries()].sort((a, b) => compare(b[1].sum.units, a[1].sum.units));
  const named = ranked.slice(0, ranked.length > MOST_SERIES + 1 ? MOST_SERIES : ranked.length);
  const chosen = named.map(([key, one], place) => ({ label: split.label(key), colour: split.colour(key, colours, place), ...one }));
  const others = ranked.slice(named.length);
  if (others.length) {
    const days = new Map();
    const sum = new Sum();
    for (const [, one] of others) {
      for (const [day, amount] of one.days) {
        if (!days.has(day)) days.set(day, new Sum());
        days.get(day).add(amount.whole, amount.rest);
      }
      sum.add(one.sum.whole, one.sum.rest);
    }
    chosen.push({ label: `${count(others.length)} others`, colour: colours.theme.quiet, days, sum });
  }
  const rows = chosen.flatMap((one, order) => [...one.days].map(([day, amount]) => ({ day: day * DAY, date: day, order, series: one.label,
    units: amount.units, usd: dollars(amount.units), colour: one.colour, text: `${dateText(day, true)}, ${one.label}: ${usd(amount.units)}` })));
  return {
    lead: `${usd(all.units)} from ${spanText(filter.from, filter.to)}.`,
    note: widened(filter, split.byPerson) ? foldedNote(filter) : null,
    chart: { rows: rows.filter((row) => row.units !== 0n), legend: chosen.filter((one) => one.sum.units !== 0n).map((one) => ({ label: one.label, colour: one.colour, value: usd(one.sum.units) })),
      say: `Spend by day, split by ${filter.split}.` },
    behind: { columns: [{ key: "date", label: "Day", kind: "date" }, { key: "series", label: "Of", kind: "text" }, { key: "units", label: "Spend (USD)", kind: "usd" }],
      rows: rows.sort((a, b) => a.date - b.date || a.order - b.order) },
  };
};
function foldedNote(filter) {
  const before = `Before ${dateText(monthsBefore(), true)} this page keeps what one person spent by month, without product and model`;
  return filter.product === null && filter.model === null ? `${before}; the range is taken as whole months there.` : `${before}; with one chosen, the figures begin there.`;
}
const unkept = () => `Before ${dateText(monthsBefore(), true)}`;

function shares(filter, name, groups, label, colour) {
  if (!groups.length) return NOTHING;
  const total = groups.reduce((sum, group) => sum + group.paid.units, 0n);
  const rows = groups.map((group) => ({ name: label(group.key), colour: colour(group.key), paid: group.paid.units,
    share: percent(group.paid.units, total), tokens: group.tokens })).sort((a, b) => compare(b.paid, a.paid));
  return {
    note: widened(filter) ? foldedNote(filter) : null,
    table: { columns: [{ key: "name", label: name, kind: "text", swatch: "colour" }, { key: "paid", label: "Spend (USD)", kind: "usd" },
      { key: "share", label: "Share", kind: "percent", bar: "colour" }, { key: "tokens", label: "Tokens", kind: "short" }], rows },
  };
}
PANELS.products = (filter, colours) => shares(filter, "Product", grouped(filter, (lines, i) => lines.product[i]),
  (n) => products[n] ?? unkept(), (n) => colours.product[n] ?? colours.quiet);
PANELS.models = (filter, colours) => shares(filter, "Model", grouped(filter, (lines, i) => lines.model[i]),
  (n) => models[n] ?? unkept(), (n) => colours.model[n] ?? colours.quiet);

PANELS.spenders = (filter) => {
  const groups = grouped(filter, (lines, i, organization, person) => person, true);
  if (!groups.length) return NOTHING;
  const isFolded = widened(filter, true);
  const older = new Map();
  if (isFolded && filter.product === null && filter.model === null) {
    const months = data.spend.active_days_of_months;
    months.person.forEach((person, i) => {
      if (months.month[i] >= monthStart(filter.from) && months.month[i] <= filter.to) older.set(person, (older.get(person) ?? 0) + months.days[i]);
    });
  }
  const total = groups.reduce((sum, group) => sum + group.paid.units, 0n);
  const rows = groups.map((group) => {
    const person = group.key;
    const paid = group.paid.units;
    const list = group.list.unknown ? null : group.list.units;
    const days = people.kind[person] === "user" ? group.days + (older.get(person) ?? 0) : null;
    return { who: people.label[person], detail: people.detail[person], organizationName: organizations[people.organization[person]].name, paid,
      share: percent(paid, total), list, discount: list ? percent(list - paid, list) : null, tokens: group.tokens, days,
      perDay: days ? divide(paid, BigInt(days)) : null };
  }).sort((a, b) => compare(b.paid, a.paid));
  const rest = people.kind.some((kind, n) => kind === "rest" && (filter.organization === null || people.organization[n] === filter.organization));
  return {
    lead: `${usd(total)} from ${spanText(filter.from, filter.to)}, by ${count(rows.filter((row) => row.days !== null || row.detail).length)} people with an account.`,
    note: [isFolded ? foldedNote(filter) : null, rest ? "The people who spent most over all days are named; the others are one row for each organisation." : null].filter(Boolean).join(" ") || null,
    table: { columns: [{ key: "who", label: "Person", kind: "text", detail: "detail" }, ...organizationColumn(), { key: "paid", label: "Paid (USD)", kind: "usd" },
      { key: "share", label: "Share", kind: "percent" }, { key: "list", label: "List price (USD)", kind: "usd" }, { key: "discount", label: "Discount", kind: "percent" },
      { key: "tokens", label: "Tokens", kind: "short" }, { key: "days", label: "Active days", kind: "count" }, { key: "perDay", label: "Per active day (USD)", kind: "usd" }], rows },
  };
};

PANELS.teams = (filter) => {
  if (missing("teams")) return absent("teams");
  const month = monthStart(filter.to);
  const found = rowsOf("teams", inOrganization(filter)).filter((row) => row.month === month);
  if (!found.length) return { empty: "Nobody is in a team: there is no team map, or no cost in this month.", todo: "Say under `teams` in the settings who belongs to which team." };
  const total = addUnits(found.map((row) => row.paid)) ?? 0n;
  const rows = found.map((row) => ({ ...row, share: percent(row.paid, total) }));
  return {
    lead: `${usd(total)} in ${monthName(month)}: every line of cost has one owner per share.`,
    note: data.tables.teams.more ? `${count(data.tables.teams.more)} more are in marts.team_monthly_chargeback.` : null,
    table: { columns: [{ key: "team", label: "Team", kind: "text" }, { key: "cost_center", label: "Cost centre", kind: "text" }, ...organizationColumn(), { key: "paid", label: "Paid (USD)", kind: "usd" },
      { key: "share", label: "Share", kind: "percent" }, { key: "list", label: "List price (USD)", kind: "usd" }, { key: "total_tokens", label: "Tokens", kind: "short" }, { key: "user_count", label: "People", kind: "count" }], rows },
  };
};

const NOBODYS = { unattributed: "no account", erased: "erased" };
PANELS.ownerless = (filter) => {
  const everybody = { ...filter, person: null };
  const groups = grouped(everybody, (lines, i, organization, person) => {
    if (NOBODYS[people.kind[person]]) return `${person}/${lines.product[i]}`;
    return people.deleted[person] ? `${person}/` : "";
  }, true).filter((group) => group.key);
  if (!groups.length) return { empty: "Every line of these days has a user account that exists.", todo: null };
  const rows = groups.map((group) => {
    const [person, product] = group.key.split("/");
    return { who: people.label[person], kind: NOBODYS[people.kind[person]] ?? "deleted user", organizationName: organizations[people.organization[person]].name,
      product: product === "" ? "all products" : products[product], paid: group.paid.units, tokens: group.tokens };
  }).sort((a, b) => compare(b.paid, a.paid));
  const without = addUnits(rows.filter((row) => row.kind === "no account").map((row) => row.paid)) ?? 0n;
  return {
    lead: `${usd(without)} have no user account behind them: automation, code review, channels and what the API does not attribute.`,
    note: widened(filter, true) ? foldedNote(filter) : null,
    table: { columns: [{ key: "who", label: "Whose", kind: "text" }, { key: "kind", label: "Why", kind: "text" }, ...organizationColumn(),
      { key: "product", label: "Product", kind: "text" }, { key: "paid", label: "Spend (USD)", kind: "usd" }, { key: "tokens", label: "Tokens", kind: "short" }], rows },
  };
};

const EFFECTS = { volume: "More or less use", mix: "Other mix of tokens", price: "List prices", discount: "Discounts", new_users: "New people",
  gone_users: "People who left", new_models: "New models", gone_models: "Models no longer used", credits: "Credits", other: "Other" };
PANELS.change = (filter, colours) => {
  if (missing("changes")) return absent("changes");
  const month = monthStart(filter.to);
  const lines = rowsOf("changes", inOrganization(filter)).filter((row) => row.month === month
    && (filter.product === null || row.product === data.spend.products[filter.product]) && (filter.model === null || row.model === data.spend.models[filter.model]));
  if (!lines.length) return { empty: `${monthName(month)} cannot be compared: no day is complete in it and in the month before.`, todo: "Choose another month with To, or load earlier days with `onelens-claude backfill`." };
  const previous = addUnits(lines.map((row) => row.previous));
  const current = addUnits(lines.map((row) => row.current));
  const bars = [{ label: monthName(monthStart(month - 1)), from: 0n, to: previous, colour: colours.theme.quiet, amount: previous }];
  let at = previous;
  for (const [effect, label] of Object.entries(EFFECTS)) {
    const amount = addUnits(lines.map((row) => row[effect])) ?? 0n;
    if (amount === 0n) continue;
    bars.push({ label, from: at, to: at + amount, amount, isEffect: true, colour: amount > 0n ? colours.theme.bad : colours.theme.good });
    at += amount;
  }
  bars.push({ label: monthName(month), from: 0n, to: current, colour: colours.theme.accent, amount: current });
  const spans = [...new Set(lines.map((row) => spanText(row.first, row.last)))];
  return {
    lead: `${usd(current - previous, "+")}: ${usd(current)} after ${usd(previous)}, over ${spans.length === 1 ? spans[0] : "the days that both months have"}. The parts add up to it exactly.`,
    chart: { rows: bars.map((bar, order) => ({ label: bar.label, order, low: dollars(bar.from), high: dollars(bar.to), colour: bar.colour,
      text: `${bar.label}: ${bar.isEffect ? usd(bar.amount, "+") : usd(bar.amount)}` })), legend: [{ label: "more", colour: colours.theme.bad }, { label: "less", colour: colours.theme.good }],
      say: "What led from the spend of the month before to this month." },
    behind: { columns: [{ key: "label", label: "What", kind: "text" }, { key: "amount", label: "Amount (USD)", kind: "usd" }], rows: bars },
  };
};

PANELS.unusual = (filter, colours) => {
  if (missing("anomalies")) return absent("anomalies");
  // up to the newest day means up to now: who runs away today is on no complete day yet
  const found = rowsOf("anomalies", inOrganization(filter), (row) => row.day >= filter.from && (row.day <= filter.to || filter.to === newest), ofPerson(filter));
  const incidents = new Map();
  for (const row of found) incidents.set(row.incident_id, { ...(incidents.get(row.incident_id) ?? row), since: row.day });
  const days = new Map();
  scan({ ...filter, product: null, model: null }, filter.from, filter.to, (lines, i) => {
    if (!days.has(lines.day[i])) days.set(lines.day[i], new Sum());
    days.get(lines.day[i]).add(lines.paid[i], lines.paid_rest[i]);
  });
  if (!found.length && !days.size) return NOTHING;
  const byDay = new Map();
  for (const row of found) byDay.set(row.day, [...(byDay.get(row.day) ?? []), row]);
  const rows = [...days].sort((a, b) => a[0] - b[0]).map(([day, sum]) => ({ kind: "day", day: day * DAY, usd: dollars(sum.units), colour: colours.theme.accent }));
  for (const [day, some] of byDay) {
    if (day > filter.to) continue;
    const isOpen = some.some((row) => row.status === "open");
    const more = some.length > 3 ? ` (and ${some.length - 3} more)` : "";
    rows.push({ kind: "anomaly", day: day * DAY, usd: dollars(days.get(day)?.units ?? 0n), colour: isOpen ? colours.theme.bad : colours.theme.quiet,
      ring: colours.theme.panel, text: some.slice(0, 3).map((row) => row.reason).join("; ") + more });
  }
  const open = [...incidents.values()].filter((row) => row.status === "open").length;
  return {
    lead: found.length ? `${many(incidents.size, "incident")} on ${many(byDay.size, "day")}, ${count(open)} still open.` : "Nothing unusual was found on these days.",
    note: data.tables.anomalies.more ? `The newest ${count(data.tables.anomalies.rows.length)} are here; ${count(data.tables.anomalies.more)} more are in marts.cost_anomalies.` : null,
    chart: { rows, legend: [{ label: "Spend of the day", colour: colours.theme.accent }, { label: "Open", colour: colours.theme.bad, isDot: true }, { label: "Resolved or revised away", colour: colours.theme.quiet, isDot: true }],
      say: "Daily spend; a dot marks each day on which something unusual was found." },
    table: found.length ? { columns: [{ key: "since", label: "Since", kind: "date" }, { key: "day", label: "Newest", kind: "date" }, ...organizationColumn(), { key: "about", label: "Who or what", kind: "text" }, { key: "kindText", label: "Kind", kind: "text" },
      { key: "impact", label: "Above usual (USD)", kind: "usd" }, { key: "statusText", label: "State", kind: "text" }, { key: "reason", label: "What happened", kind: "sentence" }], rows: [...incidents.values()] } : null,
  };
};

PANELS.people = (filter, colours) => {
  const rows = rowsOf("adoption", inOrganization(filter), inDays(filter));
  if (missing("adoption")) return absent("adoption");
  if (!rows.length) return NOTHING;
  const series = [["daily_active_user_count", "Active that day", colours.series[1]], ["weekly_active_user_count", "In 7 days", colours.series[2]],
    ["monthly_active_user_count", "In 30 days", colours.series[0]], ["assigned_seat_count", "Seats", colours.theme.muted]];
  const here = organizations.length && filter.organization === null ? organizations.length : 1;
  const days = new Map();
  for (const row of rows) days.set(row.day, [...(days.get(row.day) ?? []), row]);
  const table = [...days].sort((a, b) => a[0] - b[0]).map(([day, some]) => {
    const line = { day };
    for (const [name] of series) line[name] = some.length < here || some.some((row) => row[name] === null) ? null : some.reduce((sum, row) => sum + row[name], 0);
    return line;
  });
  const drawn = table.flatMap((line) => series.filter(([name]) => line[name] !== null).map(([name, label, colour]) => ({ kind: name === "assigned_seat_count" ? "seats" : "active", series: label,
    day: line.day * DAY, count: line[name], colour, text: `${dateText(line.day, true)}, ${label.toLowerCase()}: ${count(line[name])}` })));
  const idle = data.tables.idle.rows.filter(inOrganization(filter)).filter((row) => row.idle_after_day_count === 30 && row.idle_seat_count !== null);
  const idleSeats = idle.reduce((sum, row) => sum + row.idle_seat_count, 0);
  return {
    lead: idle.length ? `${count(idleSeats)} of ${count(idle.reduce((sum, row) => sum + row.assigned_seat_count, 0))} seats were idle for 30 days on ${dateText(Math.max(...idle.map((row) => row.as_of)))}.` : null,
    note: here > 1 ? "Organisations are added up; somebody in two of them counts twice." : null,
    chart: { rows: drawn, legend: series.map(([name, label, colour]) => ({ label, colour, isDashed: name === "assigned_seat_count" })), say: "Active people by day, by week and by month, below the number of seats." },
    behind: { columns: [{ key: "day", label: "Day", kind: "date" }, ...series.map(([key, label]) => ({ key, label, kind: "count" }))], rows: table },
  };
};

function monthly(name, what, columns) {
  return (filter) => {
    if (missing(name)) return absent(name);
    const rows = rowsOf(name, inOrganization(filter), inMonths(filter));
    if (!rows.length) return { empty: `No ${what} in these months.`, todo: null };
    const [begin, end] = [monthStart(filter.from), monthStart(filter.to)];
    return { note: `Whole months: ${monthName(begin)}${begin === end ? "" : ` to ${monthName(end)}`}.${data.tables[name].more ? ` ${count(data.tables[name].more)} more are in the mart.` : ""}`,
      table: { columns: [{ key: "title", label: "Name", kind: "text" }, ...organizationColumn(),
        ...(begin === end ? [] : [{ key: "month", label: "Month", kind: "month" }]), ...columns], rows } };
  };
}
PANELS.projects = monthly("projects", "projects", [{ key: "message_count", label: "Messages", kind: "count" }, { key: "conversation_count", label: "Conversations", kind: "count" }, { key: "most_users", label: "Most people a day", kind: "count" }]);
PANELS.skills = monthly("skills", "skills", [{ key: "invocation_count", label: "Uses", kind: "count" }, { key: "most_users", label: "Most people a day", kind: "count" }, { key: "list_price", label: "List price (USD)", kind: "usd" }]);
PANELS.connectors = monthly("connectors", "connectors", [{ key: "call_count", label: "Calls", kind: "count" }, { key: "read_call_count", label: "Reading", kind: "count" }, { key: "write_call_count", label: "Writing", kind: "count" }, { key: "most_users", label: "Most people a day", kind: "count" }]);

const SAVINGS = { fast_mode: "Fast mode", us_inference: "US inference", long_context: "Long context", low_cache_reuse: "Low cache reuse", premium_model: "A cheaper model would do", idle_seat: "Idle seats" };
PANELS.savings = (filter) => {
  if (missing("savings")) return absent("savings");
  const month = monthStart(filter.to);
  const rows = rowsOf("savings", inOrganization(filter), ofPerson(filter)).filter((row) => row.month === month).map((row) => ({ ...row, kindText: SAVINGS[row.kind] ?? row.kind }));
  if (!rows.length) return { empty: `Nothing to save was found in ${monthName(month)}.`, todo: null };
  return {
    lead: "Advice, not cost: each line says what it assumes. Lines may overlap, so they are not added up.",
    table: { columns: [{ key: "kindText", label: "What", kind: "text" }, ...organizationColumn(), { key: "about", label: "Who or what", kind: "text" }, { key: "spent", label: "Spent (USD)", kind: "usd" },
      { key: "avoidable", label: "Avoidable (USD)", kind: "usd" }, { key: "assumption", label: "Assumption", kind: "sentence" }, { key: "evidence", label: "Seen", kind: "sentence" }], rows },
  };
};

PANELS.tokens = (filter, colours) => {
  const kinds = [["cache_read", "Read from cache", colours.series[2]], ["cache_write", "Written to cache", colours.series[4]], ["uncached", "Other input", colours.series[0]], ["output", "Output", colours.series[3]]];
  const days = new Map();
  scan({ ...filter, person: null }, filter.from, filter.to, (lines, i) => {
    let line = days.get(lines.day[i]);
    if (!line) { line = { day: lines.day[i], cache_read: 0, cache_write: 0, uncached: 0, output: 0 }; days.set(lines.day[i], line); }
    for (const [name] of kinds) line[name] += lines[name][i];
  });
  if (!days.size) return NOTHING;
  const table = [...days.values()].sort((a, b) => a.day - b.day);
  const sum = (name) => table.reduce((total, line) => total + line[name], 0);
  const input = sum("cache_read") + sum("cache_write") + sum("uncached");
  return {
    lead: `${short(input + sum("output"))} tokens; ${percentText(percent(sum("cache_read"), input))} of the input was read from the cache.`,
    chart: { rows: table.flatMap((line) => kinds.map(([name, label, colour], order) => ({ day: line.day * DAY, count: line[name], order, colour, text: `${dateText(line.day, true)}, ${label.toLowerCase()}: ${count(line[name])} tokens` }))),
      legend: kinds.map(([name, label, colour]) => ({ label, colour, value: short(sum(name)) })), say: "Tokens by day and kind." },
    behind: { columns: [{ key: "day", label: "Day", kind: "date" }, ...kinds.map(([key, label]) => ({ key, label, kind: "count" }))], rows: table },
  };
};

PANELS.cache = (filter, colours) => {
  if (missing("cache")) return absent("cache");
  const rows = rowsOf("cache", inOrganization(filter), inDays(filter)).filter((row) => filter.model === null || row.model === data.spend.models[filter.model]);
  if (!rows.length) return { empty: "No cached tokens were read or written on these days.", todo: null };
  const days = new Map();
  for (const row of rows) days.set(row.day, [...(days.get(row.day) ?? []), row]);
  const table = [...days].sort((a, b) => a[0] - b[0]).map(([day, some]) => ({ day, saved: addUnits(some.map((row) => row.saved)) }));
  const unpriced = rows.reduce((sum, row) => sum + row.unpriced_count, 0);
  return {
    lead: `${usd(addUnits(table.map((line) => line.saved)))} saved: what the tokens read from the cache would have cost without it, less what writing it cost more.`,
    note: unpriced ? `${count(unpriced)} lines have no price to compare with; what they saved is not known.` : null,
    chart: { rows: table.filter((line) => line.saved !== null).map((line) => ({ day: line.day * DAY, usd: dollars(line.saved), order: 0, colour: line.saved < 0n ? colours.theme.bad : colours.series[2], text: `${dateText(line.day, true)}: ${usd(line.saved)} saved` })), legend: [], say: "What the cache saved, by day." },
    behind: { columns: [{ key: "day", label: "Day", kind: "date" }, { key: "saved", label: "Saved (USD)", kind: "usd" }], rows: table },
  };
};

PANELS.premium = (filter, colours) => {
  if (missing("premium")) return absent("premium");
  const rows = rowsOf("premium", inOrganization(filter), inDays(filter));
  if (!rows.length) return NOTHING;
  const kindOf = (row) => (row.speed === "fast" ? (row.inference_geo === "us" ? 2 : 0) : row.inference_geo === "us" ? 1 : null);
  const kinds = [["Fast mode", colours.series[1]], ["US inference", colours.series[0]], ["Both", colours.series[5]]];
  const days = new Map();
  for (const row of rows) {
    const kind = kindOf(row);
    if (kind === null) continue;
    const key = `${row.day}/${kind}`;
    const line = days.get(key) ?? { day: row.day, kind, label: kinds[kind][0], amounts: [], extras: [], unpriced: 0 };
    line.amounts.push(row.amount);
    line.extras.push(row.premium);
    line.unpriced += row.unpriced_count;
    days.set(key, line);
  }
  const all = addUnits(rows.map((row) => row.amount)) ?? 0n;
  if (!days.size) return { empty: "Everything ran at standard speed, and nothing was kept in the US.", todo: null };
  const table = [...days.values()].map((line) => ({ ...line, amount: addUnits(line.amounts), extra: addUnits(line.extras) })).sort((a, b) => a.day - b.day || a.kind - b.kind);
  const of = (kind, name) => addUnits(table.filter((line) => line.kind === kind).map((line) => line[name]));
  const said = kinds.map(([label], kind) => (of(kind, "amount") === null ? null : `${label}: ${usd(of(kind, "amount"))} (${percentText(percent(of(kind, "amount"), all))} of all), ${usd(of(kind, "extra"))} more than without it.`)).filter(Boolean);
  const unpriced = table.reduce((sum, line) => sum + line.unpriced, 0);
  return {
    lead: said.join(" "),
    note: unpriced ? `${count(unpriced)} lines have no standard price to compare with; what they cost more is not known.` : null,
    chart: { rows: table.map((line) => ({ day: line.day * DAY, usd: dollars(line.amount), order: line.kind, colour: kinds[line.kind][1], text: `${dateText(line.day, true)}, ${line.label}: ${usd(line.amount)}` })),
      legend: kinds.map(([label, colour]) => ({ label, colour })).filter((_, kind) => of(kind, "amount") !== null), say: "Spend in fast mode and with inference in the US, by day." },
    behind: { columns: [{ key: "day", label: "Day", kind: "date" }, { key: "label", label: "What", kind: "text" }, { key: "amount", label: "Spend (USD)", kind: "usd" }, { key: "extra", label: "More than standard (USD)", kind: "usd" }], rows: table },
  };
};

PANELS.completeness = (filter) => {
  const rows = rowsOf("completeness", inOrganization(filter), inDays(filter));
  if (!rows.length) return NOTHING;
  const inexact = rows.filter((row) => row.cost_state !== "exact").length;
  const open = rows.filter((row) => row.finality !== "final").length;
  return {
    lead: `${inexact ? `${count(inexact)} of ${count(rows.length)} days do not add up to the organisation's own total, or are missing.` : `Each of ${count(rows.length)} days adds up to the organisation's own total to the last digit.`} ${open ? `${count(open)} may still change.` : "None can change any more."}`,
    table: { columns: [{ key: "day", label: "Day", kind: "date" }, ...organizationColumn(), { key: "total", label: "Total (USD)", kind: "usd" }, { key: "costText", label: "Adds up", kind: "text" },
      { key: "finalityText", label: "Finality", kind: "text" }, { key: "engagement_state", label: "Activity", kind: "text" }], rows },
  };
};

PANELS.revisions = (filter) => {
  if (missing("revisions")) return absent("revisions");
  const rows = rowsOf("revisions", inOrganization(filter), inDays(filter));
  if (!rows.length) return { empty: "No day of this range was corrected after it was first loaded.", todo: null };
  return {
    lead: `${many(new Set(rows.map((row) => row.day)).size, "day")} corrected, by ${usd(addUnits(rows.map((row) => row.change)), "+")} together.`,
    table: { columns: [{ key: "day", label: "Day", kind: "date" }, ...organizationColumn(), { key: "fetched", label: "Found", kind: "date" }, { key: "change", label: "Change (USD)", kind: "change" }, { key: "total", label: "Total since (USD)", kind: "usd" }], rows },
  };
};
