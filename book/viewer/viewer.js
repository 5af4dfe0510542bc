// A registered pair to look through: two images under one curtain, on one canvas, from disk or a server.
// Crops arrive by scripts (data/CASE.js), for a page opened from disk may not fetch; see make.py.
(() => {
  "use strict";
  if (window.lumirageViewer) return;
  const FIXED = "#56B4E9", MOVED = "#E69F00", ERROR = [204, 121, 167];
  const STEP_MM = 0.1, WORST_MM = 8, ZOOM = 8;
  // Plane -> axis that is left out, axis to the right, axis upward; axes point right, forward, up.
  const PLANES = { coronal: [1, 0, 2], axial: [2, 0, 1], sagittal: [0, 1, 2] };
  const waiting = {};
  window.lumirageViewer = { add: (id, data) => waiting[id](data) };

  const load = (root, id) => new Promise((resolve, reject) => {
    waiting[id] = resolve;
    const script = document.createElement("script");
    script.src = `${root}data/${id}.js`;
    script.onerror = () => reject(new Error(`${script.src} cannot be read`));
    document.head.append(script);
  });

  const decode = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));

  async function unpack(text) {
    const stream = new Blob([decode(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  // Axial slices below one another in one picture.
  async function unpackImage(text) {
    const picture = await createImageBitmap(new Blob([decode(text)], { type: "image/webp" }));
    const canvas = make("canvas", { width: picture.width, height: picture.height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0);
    const colours = context.getImageData(0, 0, picture.width, picture.height).data;
    const greys = new Uint8Array(colours.length / 4);
    for (let i = 0; i < greys.length; i++) greys[i] = colours[4 * i];
    return greys;
  }

  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  function choose(label, options, value, changed) {
    const select = make("select", { name: label.toLowerCase() });
    for (const [key, text] of options) select.append(make("option", { value: key }, text));
    select.value = value;
    select.addEventListener("change", () => changed(select.value));
    return [make("label", {}, `${label} `, select), select];
  }

  class Viewer {
    constructor(element) {
      this.element = element;
      this.root = element.dataset.root;
      this.painted = new Map();
      this.choice = Object.entries(JSON.parse(element.dataset.choice || "{}"));
      const asked = new URLSearchParams(this.choice.length ? location.hash.slice(1) : "");
      const known = this.choice.some(([id]) => id === asked.get("case"));
      this.state = {
        left: asked.get("left") || "affine", right: asked.get("right") || "clapirn",
        plane: "coronal", structure: "0", borders: true, error: false, at: 50, slice: null,
      };
      this.open(known ? asked.get("case") : element.dataset.case);
    }

    async open(id) {
      const start = performance.now();
      try {
        const data = await load(this.root, id);
        const sides = { fixed: { name: "Fixed image", ...data.fixed } };
        for (const m of data.methods) sides[m.id] = { ...m };
        await Promise.all(Object.values(sides).flatMap(side =>
          ["image", "labels", "distance"].filter(k => side[k]).map(async k => {
            side[k] = await (k === "labels" ? unpack : unpackImage)(side[k]);
          })));
        Object.assign(this, { id, data, sides });
        for (const side of ["left", "right"]) if (!(this.state[side] in sides)) this.state[side] = "fixed";
        this.state.slice = null;
        this.build();
        this.element.dataset.ready = Math.round(performance.now() - start);
      } catch (error) {
        this.element.replaceChildren(make("p", { role: "alert" }, `The viewer cannot start: ${error.message}`));
      }
    }

    build() {
      const { state, data, sides } = this;
      const named = Object.entries(sides).map(([id, side]) => [id, side.name]);
      const set = name => value => { state[name] = value; this.draw(); };
      const controls = make("div", { class: "controls" });
      if (this.choice.length) {
        controls.append(choose("Pair", this.choice, this.id, id => this.open(id))[0]);
      }
      const [left, leftSelect] = choose("Left", named, state.left, set("left"));
      const [right, rightSelect] = choose("Right", named, state.right, set("right"));
      const [plane, planeSelect] = choose("Plane", Object.keys(PLANES).map(p => [p, p]), state.plane, value => {
        state.plane = value; state.slice = null; this.jump();
      });
      const structures = [["0", "all structures"], ...Object.entries(data.structures).sort((a, b) => a[1] < b[1] ? -1 : 1)];
      const [structure] = choose("Structure", structures, state.structure, value => {
        state.structure = value; state.slice = null; this.jump();
      });
      const tick = (name, text) => {
        const box = make("input", { type: "checkbox" });
        box.checked = state[name];
        box.addEventListener("change", () => set(name)(box.checked));
        return [make("label", {}, box, ` ${text}`), box];
      };
      const [borders, bordersBox] = tick("borders", "Borders");
      const known = data.methods[0].distance;
      const [error, errorBox] = tick("error", known ? "Error in mm" : "Error of labels");
      controls.append(left, right, plane, structure, borders, error);

      this.canvas = make("canvas", { "aria-hidden": "true" });
      this.range = make("input", {
        type: "range", min: 0, max: 100, step: 1, "aria-label": "Curtain: share of the picture that shows the left image",
      });
      this.range.value = state.at;
      this.range.addEventListener("input", () => set("at")(Number(this.range.value)));
      this.range.addEventListener("keydown", event => {
        const key = event.key.toLowerCase();
        const digit = Number(key) - 1;
        if (key === "arrowup" || key === "arrowdown") this.move(key === "arrowup" ? 1 : -1);
        else if (key === "b") { bordersBox.checked = !state.borders; set("borders")(bordersBox.checked); }
        else if (key === "e") { errorBox.checked = !state.error; set("error")(errorBox.checked); }
        else if (key === "p") {
          const planes = Object.keys(PLANES);
          planeSelect.value = planes[(planes.indexOf(state.plane) + 1) % planes.length];
          planeSelect.dispatchEvent(new Event("change"));
        } else if (digit >= 0 && digit < data.methods.length) {
          rightSelect.value = data.methods[digit].id;
          set("right")(rightSelect.value);
        } else return;
        event.preventDefault();
      });
      this.tags = [make("span", { class: "tag left" }), make("span", { class: "tag right" })];
      const stage = make("div", { class: "stage" }, this.canvas, this.range, ...this.tags);
      this.slider = make("input", { type: "range", min: 0, step: 1 });
      this.slider.addEventListener("input", () => set("slice")(Number(this.slider.value)));
      this.where = make("output");
      const slice = make("label", { class: "slice" }, "Slice ", this.slider, " ", this.where);
      this.legend = make("p", { class: "legend" });
      this.table = make("table");
      const [moving, fixed] = data.pair;
      const about = make("p", { class: "about" },
        `${data.title}, scan ${moving} onto ${fixed}, 1 pair of 2 subjects, shown at 2 mm; the left of the ` +
        `picture is the left of the patient. Keys, when the picture has the focus: left and right move the ` +
        `curtain, up and down the slice, 1 to ${data.methods.length} choose the right image, b borders, ` +
        `e error, p plane. Images: ${data.licence}.`);
      this.element.replaceChildren(controls, stage, slice, this.legend, this.table, about);
      this.leftSelect = leftSelect;
      this.jump();
    }

    index(plane, column, row, slice) {
      const [out, across, up] = PLANES[plane], at = [0, 0, 0], [nx, ny] = this.data.shape;
      at[out] = slice; at[across] = column; at[up] = row;
      return at[0] + nx * (at[1] + ny * at[2]);
    }

    // The slice in which most of the structure lies; the middle for all structures.
    jump() {
      const { state, data, sides } = this, [out, across, up] = PLANES[state.plane], shape = data.shape;
      if (state.slice === null) {
        state.slice = Math.floor(shape[out] / 2);
        const wanted = Number(state.structure);
        let most = 0;
        for (let s = 0; wanted && s < shape[out]; s++) {
          let n = 0;
          for (let c = 0; c < shape[across]; c++) for (let r = 0; r < shape[up]; r++) {
            n += sides.fixed.labels[this.index(state.plane, c, r, s)] === wanted;
          }
          if (n > most) { most = n; state.slice = s; }
        }
      }
      this.slider.max = shape[out] - 1;
      this.draw();
    }

    move(step) {
      const [out] = PLANES[this.state.plane];
      this.state.slice = Math.min(Math.max(this.state.slice + step, 0), this.data.shape[out] - 1);
      this.draw();
    }

    // One side of the curtain, on a canvas of its own, painted anew when what it shows has changed.
    paint(side) {
      const { plane, slice, structure, borders, error } = this.state;
      const about = [this.id, side, plane, slice, structure, borders, error].join();
      if (!this.painted.has(about)) {
        if (this.painted.size > 7) this.painted.clear();
        this.painted.set(about, this.paintAnew(side));
      }
      return this.painted.get(about);
    }

    paintAnew(side) {
      const { state, data, sides } = this, { image, labels, distance } = sides[side];
      const [, across, up] = PLANES[state.plane], w = data.shape[across], h = data.shape[up];
      const small = make("canvas", { width: w, height: h }), pixels = new ImageData(w, h);
      const wanted = Number(state.structure), truth = sides.fixed.labels;
      for (let r = 0; r < h; r++) for (let c = 0; c < w; c++) {
        const i = this.index(state.plane, c, h - 1 - r, state.slice), grey = image[i];
        let alpha = 0;
        if (state.error && distance) alpha = Math.min(distance[i] * STEP_MM / WORST_MM, 1);
        else if (state.error && side !== "fixed" && labels[i] !== truth[i]) {
          alpha = !wanted || labels[i] === wanted || truth[i] === wanted ? 0.75 : 0;
        }
        for (let k = 0; k < 3; k++) pixels.data[4 * (r * w + c) + k] = grey * (1 - alpha) + ERROR[k] * alpha;
        pixels.data[4 * (r * w + c) + 3] = 255;
      }
      small.getContext("2d").putImageData(pixels, 0, 0);
      const big = make("canvas", { width: w * ZOOM, height: h * ZOOM }), context = big.getContext("2d");
      context.imageSmoothingQuality = "high";
      context.drawImage(small, 0, 0, w * ZOOM, h * ZOOM);
      if (state.borders) {
        this.trace(context, truth, w, h, FIXED);
        if (side !== "fixed") this.trace(context, labels, w, h, MOVED);
      }
      return big;
    }

    trace(context, labels, w, h, colour) {
      const { state } = this, wanted = Number(state.structure);
      const at = (c, r) => {
        const value = labels[this.index(state.plane, c, h - 1 - r, state.slice)];
        return wanted ? Number(value === wanted) : value;
      };
      context.strokeStyle = colour;
      context.lineWidth = 2;
      context.lineCap = "round";
      context.beginPath();
      for (let r = 0; r < h - 1; r++) for (let c = 0; c < w - 1; c++) {
        const x = (c + 1) * ZOOM, y = (r + 1) * ZOOM, here = at(c, r);
        if (here !== at(c + 1, r)) { context.moveTo(x, y - ZOOM); context.lineTo(x, y); }
        if (here !== at(c, r + 1)) { context.moveTo(x - ZOOM, y); context.lineTo(x, y); }
      }
      context.stroke();
    }

    draw() {
      const { state, data, sides, canvas } = this;
      const [left, right] = [this.paint(state.left), this.paint(state.right)];
      canvas.width = left.width; canvas.height = left.height;
      const context = canvas.getContext("2d"), x = Math.round(canvas.width * state.at / 100);
      context.drawImage(right, 0, 0);
      if (x > 0) context.drawImage(left, 0, 0, x, canvas.height, 0, 0, x, canvas.height);
      context.fillStyle = "#fff";
      context.fillRect(x - 1.5, 0, 3, canvas.height);
      this.range.value = state.at;
      this.slider.value = state.slice;
      this.where.textContent = `${state.plane} ${state.slice + 1} of ${Number(this.slider.max) + 1}`;
      const names = [sides[state.left].name, sides[state.right].name];
      this.tags.forEach((tag, k) => { tag.textContent = names[k]; });
      this.range.setAttribute("aria-valuetext", `${state.at} % ${names[0]}, the rest ${names[1]}`);
      const known = data.methods[0].distance;
      this.legend.replaceChildren(
        make("span", { class: "key", style: `background:${FIXED}` }), " border in the fixed brain ",
        make("span", { class: "key", style: `background:${MOVED}` }), " border in the moved brain ",
        make("span", { class: "key", style: `background:rgb(${ERROR})` }),
        known ? ` error: distance to the true place, full colour from ${WORST_MM} mm`
              : " error: the two brains have different structures here");
      const what = state.structure === "0" ? "mean of the structures" : data.structures[state.structure];
      this.table.replaceChildren(
        make("caption", {}, `Dice, ${what}`),
        make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "method"), make("th", { scope: "col" }, "Dice"),
          ...(known ? [make("th", { scope: "col" }, "median error of the brain")] : []))),
        make("tbody", {}, ...data.methods.map(m => {
          const dice = m.dice[state.structure], shown = dice === undefined ? "–" : dice.toFixed(2);
          return make("tr", {}, make("th", { scope: "row" }, m.name), make("td", {}, shown),
            ...(known ? [make("td", {}, `${m.median_mm.toFixed(1)} mm`)] : []));
        })));
    }
  }

  // A viewer below the fold is opened when it comes near.
  const near = new IntersectionObserver(entries => {
    for (const entry of entries) if (entry.isIntersecting) {
      near.unobserve(entry.target);
      new Viewer(entry.target);
    }
  }, { rootMargin: "600px" });
  document.querySelectorAll(".lumirage-viewer").forEach(element => near.observe(element));
})();
