// Every published registration as a point; two methods compared pair by pair and structure by structure.
// What is chosen stands in the address, and an address restores it. Tables arrive as scripts, one a cohort.
(() => {
  "use strict";
  const root = document.querySelector(".lumirage-explorer");
  if (!root) return;
  const about = window.lumirageCohorts, base = root.dataset.root, STEPS = 254, NONE = 255;
  const tables = {}, waiting = {};
  window.lumirageExplorer = { add: (name, table) => waiting[name](table) };

  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const draw = (parent, tag, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  };
  const mean = values => values.reduce((a, b) => a + b, 0) / values.length;

  async function unpack(text) {
    const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  async function load(name) {
    if (!tables[name]) {
      const table = await new Promise((resolve, reject) => {
        waiting[name] = resolve;
        const script = make("script", { src: `${base}explorer/${name}.js` });
        script.onerror = () => reject(new Error(`${script.src} cannot be read`));
        document.head.append(script);
      });
      table.dice = await unpack(table.dice);
      tables[name] = table;
    }
    return tables[name];
  }

  // ---- state ------------------------------------------------------------------------------------

  const NAMES = ["cohort", "condition", "measure", "a", "b", "pair", "structure"];
  const state = {};

  function read() {
    const asked = new URLSearchParams(location.hash.slice(1));
    for (const name of NAMES) state[name] = asked.get(name) || "";
  }

  function write() {
    const kept = new URLSearchParams(NAMES.filter(n => state[n]).map(n => [n, state[n]]));
    history.replaceState(null, "", `#${kept}`);
  }

  // What is not there is replaced by what is: an old address still opens.
  function settle(table) {
    const pick = (name, known, otherwise) => {
      if (!known.includes(state[name])) state[name] = otherwise;
    };
    pick("condition", table.conditions, table.conditions[0]);
    pick("measure", Object.keys(about.measures).filter(m => table.rows[m]), "dice");
    pick("structure", table.structures, "");
    if (state.structure) state.measure = "dice";
    const there = new Set(rowsOf(table).map(i => table.methods[table.rows.method[i]].id));
    const known = table.methods.map(m => m.id).filter(m => there.has(m));
    pick("a", known, known.includes("greedy") ? "greedy" : known[0]);
    pick("b", known, known.includes("clapirn") ? "clapirn" : known.at(-1));
    pick("pair", table.pairs.map(p => p.join(">")), "");
  }

  const rowsOf = table => {
    const wanted = table.conditions.indexOf(state.condition);
    return table.rows.condition.flatMap((c, i) => (c === wanted ? [i] : []));
  };

  function diceOf(table, row, structure) {
    const value = table.dice[table.rows.dice_row[row] * table.structures.length + structure];
    return value === NONE ? null : value / STEPS;
  }

  function valueOf(table, row) {
    if (!state.structure) return table.rows[state.measure][row];
    return diceOf(table, row, table.structures.indexOf(state.structure));
  }

  // Pair -> row, of one method under the chosen condition.
  function byPair(table, method) {
    const wanted = table.methods.findIndex(m => m.id === method), found = new Map();
    for (const i of rowsOf(table)) if (table.rows.method[i] === wanted) found.set(table.rows.pair[i], i);
    return found;
  }

  // ---- charts -----------------------------------------------------------------------------------

  function ticks(low, high, count = 5) {
    const rough = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map(f => f * power).find(s => s >= rough), found = [];
    for (let t = Math.ceil(low / step) * step; t <= high + 1e-9; t += step) found.push(Math.abs(t) < step / 1e6 ? 0 : Number(t.toPrecision(6)));
    return found;
  }

  function scale(values, from, to) {
    let low = Math.min(...values), high = Math.max(...values);
    const room = (high - low || Math.abs(high) || 1) * 0.06;
    low -= room; high += room;
    const place = v => from + (v - low) / (high - low) * (to - from);
    return Object.assign(place, { ticks: ticks(low, high, Math.max(2, Math.min(5, Math.abs(to - from) / 60))) });
  }

  function mark(parent, family, x, y, colour, chosen, title, clicked) {
    const r = chosen ? 7 : 4.5;
    const look = {
      fill: chosen ? colour : `${colour}99`, stroke: chosen ? "currentColor" : colour, "stroke-width": chosen ? 2 : 1,
      class: chosen ? "point chosen" : "point",
    };
    const shape = family === "deep" ? ["path", { d: `M${x},${y - r}L${x + r},${y + r}L${x - r},${y + r}Z` }]
      : family === "iterative" ? ["circle", { cx: x, cy: y, r }]
      : ["rect", { x: x - r * 0.8, y: y - r * 0.8, width: r * 1.6, height: r * 1.6 }];
    const node = draw(parent, shape[0], { ...shape[1], ...look });
    draw(node, "title", {}, title);
    node.addEventListener("click", clicked);
  }

  function chart(holder, width, height, label) {
    const svg = draw(holder, "svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    return svg;
  }

  const format = v => v.toFixed(Math.abs(v) >= 100 ? 0 : Math.abs(v) >= 10 ? 1 : 3).replace("-", "\u2212");
  const shorten = (text, width, most = Math.floor(width / 6.8)) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  const nameOf = pair => `${pair[0]} onto ${pair[1]}`;

  function drawStrips(table, holder, width, what) {
    const rows = rowsOf(table).filter(i => valueOf(table, i) !== null);
    const used = table.methods.map((m, i) => [m, i]).filter(([, i]) => rows.some(r => table.rows.method[r] === i));
    const left = Math.min(190, width * 0.4), line = 26, height = used.length * line + 44;
    const svg = chart(holder, width, height, `Strip chart: ${what} of ${rows.length} registrations by method`);
    const x = scale(rows.map(i => valueOf(table, i)), left, width - 12);
    for (const t of x.ticks) {
      draw(svg, "line", { x1: x(t), x2: x(t), y1: 4, y2: height - 34, class: "grid" });
      draw(svg, "text", { x: x(t), y: height - 20, "text-anchor": "middle" }, String(t).replace("-", "\u2212"));
    }
    draw(svg, "text", { x: (left + width) / 2, y: height - 4, "text-anchor": "middle" }, what);
    used.forEach(([method, index], k) => {
      const y = k * line + 18, bold = method.id === state.a || method.id === state.b;
      draw(svg, "text", { x: left - 12, y: y + 4, "text-anchor": "end", class: bold ? "bold" : "" }, shorten(method.name, left - 12));
      for (const i of rows.filter(r => table.rows.method[r] === index)) {
        const pair = table.pairs[table.rows.pair[i]], id = pair.join(">"), jitter = ((table.rows.pair[i] * 7) % 5 - 2) * 2;
        mark(svg, method.family, x(valueOf(table, i)), y + jitter, method.colour, id === state.pair,
          `${method.name}, ${nameOf(pair)}: ${format(valueOf(table, i))}`, () => change("pair", id));
      }
    });
  }

  function drawPairs(table, holder, width, what, shared) {
    const [a, b] = [state.a, state.b].map(id => table.methods.find(m => m.id === id));
    const side = Math.min(width, 420), edge = 52;
    const svg = chart(holder, side, side, `Scatter plot of ${shared.length} pairs: ${what} by ${a.name} across, by ${b.name} upward`);
    if (!shared.length) return;
    const all = shared.flatMap(s => [s.a, s.b]);
    const x = scale(all, edge, side - 10), y = scale(all, side - edge, 10);
    for (const t of x.ticks) {
      draw(svg, "line", { x1: x(t), x2: x(t), y1: 10, y2: side - edge, class: "grid" });
      draw(svg, "line", { x1: edge, x2: side - 10, y1: y(t), y2: y(t), class: "grid" });
      draw(svg, "text", { x: x(t), y: side - edge + 16, "text-anchor": "middle" }, String(t).replace("-", "\u2212"));
      draw(svg, "text", { x: edge - 6, y: y(t) + 4, "text-anchor": "end" }, String(t).replace("-", "\u2212"));
    }
    const low = Math.min(...all), high = Math.max(...all);
    draw(svg, "line", { x1: x(low), y1: y(low), x2: x(high), y2: y(high), class: "diagonal" });
    draw(svg, "text", { x: (side + edge) / 2, y: side - 10, "text-anchor": "middle" }, a.name);
    draw(svg, "text", { transform: `translate(14 ${(side - edge) / 2}) rotate(-90)`, "text-anchor": "middle" }, b.name);
    for (const s of [...shared].sort((p, q) => (p.id === state.pair) - (q.id === state.pair))) {
      mark(svg, b.family, x(s.a), y(s.b), b.colour, s.id === state.pair,
        `${nameOf(s.pair)}: ${format(s.a)} and ${format(s.b)}`, () => change("pair", s.id));
    }
  }

  function drawStructures(table, holder, width, shared) {
    const taken = state.pair && shared.some(s => s.id === state.pair) ? shared.filter(s => s.id === state.pair) : shared;
    const found = table.structures.map((name, k) => {
      const steps = taken.map(s => [diceOf(table, s.rowA, k), diceOf(table, s.rowB, k)]).filter(p => !p.includes(null));
      return { name, value: steps.length ? mean(steps.map(p => p[1] - p[0])) : null };
    }).filter(s => s.value !== null).sort((p, q) => p.value - q.value);
    if (!found.length) return;
    const left = Math.min(230, width * 0.5), line = 17, height = found.length * line + 40;
    const svg = chart(holder, width, height, `Difference in Dice of ${found.length} structures, least first`);
    const x = scale([0, ...found.map(s => s.value)], left, width - 14);
    for (const t of x.ticks) {
      draw(svg, "line", { x1: x(t), x2: x(t), y1: 20, y2: height, class: "grid" });
      draw(svg, "text", { x: x(t), y: 14, "text-anchor": "middle" }, String(t).replace("-", "\u2212"));
    }
    draw(svg, "line", { x1: x(0), x2: x(0), y1: 20, y2: height, class: "diagonal" });
    found.forEach((s, k) => {
      const y = 30 + k * line, chosen = s.name === state.structure;
      const group = draw(svg, "g", { class: chosen ? "structure chosen" : "structure" });
      draw(group, "rect", { x: 0, y: y - line / 2, width, height: line, class: "hit" });
      draw(group, "text", { x: left - 8, y: y + 4, "text-anchor": "end", class: chosen ? "bold" : "" }, shorten(s.name, left - 8));
      draw(group, "circle", { cx: x(s.value), cy: y, r: chosen ? 6 : 4, fill: "currentColor" });
      draw(group, "title", {}, `${s.name}: ${format(s.value)}`);
      group.addEventListener("click", () => change("structure", chosen ? "" : s.name));
    });
  }

  // ---- page -------------------------------------------------------------------------------------

  function chooser(label, name, options) {
    const select = make("select", { name });
    for (const [value, text] of options) select.append(make("option", { value }, text));
    select.value = state[name];
    select.addEventListener("change", () => change(name, select.value));
    return make("label", {}, `${label} `, select);
  }

  function panel(title, note) {
    const holder = make("div", { class: "chart" });
    const section = make("section", {}, make("h2", {}, title), make("p", {}, note), holder);
    return [section, holder];
  }

  // Left and right go from pair to pair, wherever the focus is within a chart.
  function walk(event, ids) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || !ids.length) return;
    event.preventDefault();
    change("pair", ids[(ids.indexOf(state.pair) + step + ids.length) % ids.length]);
  }

  let focused = "", width = 0;
  function change(name, value) {
    state[name] = value;
    if (name === "measure" && value !== "dice") state.structure = "";
    write();
    show();
  }

  async function show() {
    const active = document.activeElement;
    focused = root.contains(active) ? active.name || active.id : "";
    if (!(state.cohort in about.cohorts)) state.cohort = "oasis" in about.cohorts ? "oasis" : Object.keys(about.cohorts)[0];
    let table;
    try { table = await load(state.cohort); } catch (error) {
      root.replaceChildren(make("p", { role: "alert" }, `The explorer cannot start: ${error.message}`));
      return;
    }
    settle(table);
    const [a, b] = [state.a, state.b].map(id => table.methods.find(m => m.id === id));
    const [rowsA, rowsB] = [byPair(table, state.a), byPair(table, state.b)];
    const shared = [...rowsA].flatMap(([pair, rowA]) => {
      const rowB = rowsB.get(pair);
      if (rowB === undefined) return [];
      const s = { pair: table.pairs[pair], id: table.pairs[pair].join(">"), rowA, rowB, a: valueOf(table, rowA), b: valueOf(table, rowB) };
      return s.a === null || s.b === null ? [] : [s];
    });
    const methods = table.methods.filter(m => byPair(table, m.id).size).map(m => [m.id, m.name]);
    const there = [...new Set(rowsOf(table).map(i => table.rows.pair[i]))].map(i => table.pairs[i]);
    const measures = Object.entries(about.measures).filter(([m]) => table.rows[m]);
    const controls = make("div", { class: "controls" },
      chooser("Cohort", "cohort", Object.entries(about.cohorts)),
      chooser("Condition", "condition", table.conditions.map(c => [c, c])),
      chooser("Measure", "measure", measures),
      chooser("Method A", "a", methods), chooser("Method B", "b", methods),
      chooser("Pair", "pair", [["", "all pairs"], ...there.map(p => [p.join(">"), nameOf(p)])]),
      chooser("Structure", "structure", [["", "mean of all"], ...[...table.structures].sort().map(s => [s, s])]));

    const what = state.structure ? `Dice, ${state.structure}` : about.measures[state.measure];
    const subjects = new Set(shared.flatMap(s => s.pair.map(scan => table.subjects[scan])));
    const said = make("p", { class: "said", role: "status" });
    if (shared.length) {
      const difference = mean(shared.map(s => s.b - s.a));
      said.textContent = `${b.name} minus ${a.name}: ${difference > 0 ? "+" : "−"}${format(Math.abs(difference))} on average ` +
        `(${what}; ${shared.length} pairs, ${subjects.size} subjects); higher in ${shared.filter(s => s.b > s.a).length} pairs. ` +
        "Intervals and verdicts stand in the chapters: this page shows, it does not decide.";
    } else said.textContent = "No pair was registered by both methods under this condition.";

    const [one, strips] = panel("Every registration", "A point is one registration; circles are iterative, triangles deep, squares the baseline.");
    const [two, pairs] = panel("Pair by pair", "Above the line method B has the higher number.");
    const [three, structures] = panel("Structure by structure",
      `Dice, ${b.name} minus ${a.name}, ${state.pair ? "this pair" : "mean over pairs"}; click one to see it above.`);
    const ids = there.map(p => p.join(">"));
    for (const [id, holder, name] of [["strips", strips, "registrations"], ["pairs", pairs, "pairs"], ["structures", structures, "structures"]]) {
      Object.entries({ id: `explorer-${id}`, tabindex: 0, role: "group", "aria-label": `Chart of ${name}; left and right go from pair to pair` })
        .forEach(([k, v]) => holder.setAttribute(k, v));
      holder.addEventListener("keydown", event => walk(event, ids));
    }
    const detail = make("section", { class: "detail" }, make("h2", {}, "The pair"));
    if (state.pair) {
      const pair = state.pair.split(">"), place = table.pairs.findIndex(p => p.join(">") === state.pair);
      const body = table.methods.flatMap((m, i) => {
        const row = rowsOf(table).find(r => table.rows.method[r] === i && table.rows.pair[r] === place);
        const value = row === undefined ? null : valueOf(table, row);
        return value === null ? [] : [make("tr", {}, make("th", { scope: "row" }, m.name), make("td", {}, format(value)))];
      });
      const shown = table.cases[`${state.condition}|${pair[0]}|${pair[1]}`];
      detail.append(
        make("table", {}, make("caption", {}, `${nameOf(pair)}: ${what}`),
          make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "method"), make("th", { scope: "col" }, "value"))),
          make("tbody", {}, ...body)),
        shown ? make("p", {}, make("a", { href: `${base}book/viewer_open.html#case=${shown}&right=${state.b}&left=${state.a}` }, "See this pair in the viewer"))
              : make("p", {}, "No slices of this pair are kept: its images may not be published here, or it is not among the pairs of the viewer."));
    } else detail.append(make("p", {}, "Click a point, or choose a pair."));
    const reset = make("a", { href: location.href.split("#")[0] + location.hash, class: "link" }, "Link to this view");
    root.replaceChildren(controls, said, make("div", { class: "panels" }, one, two, detail, three), make("p", {}, reset));
    const inside = holder => Math.max(holder.clientWidth - 2, 240);
    drawStrips(table, strips, inside(strips), what);
    drawPairs(table, pairs, inside(pairs), what, shared);
    drawStructures(table, structures, inside(structures) - 16, shared);
    if (focused) (root.querySelector(`[name="${focused}"]`) || root.querySelector(`#${CSS.escape(focused)}`) || root).focus({ preventScroll: true });
    width = root.clientWidth;
    root.dataset.ready = "yes";
  }

  read();
  show();
  window.addEventListener("hashchange", () => { read(); show(); });
  new ResizeObserver(() => {
    if (root.clientWidth !== width && root.dataset.ready) { width = root.clientWidth; show(); }
  }).observe(root);
})();
