"use strict";
/* An animation of each figure with frames: play, step, arrow keys, space, and pointing at a cell. */
for (const figure of document.querySelectorAll("figure.frames")) {
  const data = JSON.parse(figure.querySelector("script").textContent);
  const make = (tag, properties, ...inside) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...inside);
    return element;
  };
  const stage = figure.querySelector(".stage");
  const tables = [...stage.querySelectorAll("table.grid.main")];
  const cells = tables.map((table) => [...table.tBodies[0].rows].map((row) => [...row.cells].filter((cell) => cell.tagName === "TD")));
  const cell = ([panel, row, column]) => cells[panel][row][column];
  const plain = cells.map((rows) => rows.map((row) => row.map((one) => ({ html: one.innerHTML, names: one.className }))));
  const last = data.frames.length - 1;
  let current = -1, reached = last, timer = 0;

  const words = make("p", { className: "words" });
  words.setAttribute("aria-live", "polite");
  const count = make("output", {});
  const button = (text, label, action) => {
    const element = make("button", { type: "button", textContent: text, onclick: action });
    element.setAttribute("aria-label", label);
    return element;
  };
  const play = button("", "", () => (timer ? stop() : start()));
  const controls = make("div", { className: "controls" },
    button("First", "First of the " + data.things, () => { stop(); go(0); }),
    button("Back", "Step back", () => { stop(); go(current < 0 ? last : current - 1); }), play,
    button("Forward", "Step forward", () => { stop(); go(current + 1); }),
    button("All", "All of the " + data.things, () => { stop(); all(); }), count);
  const strip = figure.querySelector(".strip"), leftOut = figure.querySelector(".left-out");
  const fold = make("button", { type: "button", textContent: "Show all pictures", onclick: () => {
    const open = strip.classList.toggle("shown");
    leftOut?.classList.toggle("shown", open);
    fold.setAttribute("aria-expanded", String(open));
    fold.textContent = open ? "Hide the pictures" : "Show all pictures";
  } });
  fold.setAttribute("aria-expanded", "false");
  controls.append(fold);
  stage.append(words, controls, make("p", { className: "hint", textContent:
    data.hint + ", or use the arrow keys there; the space bar plays and stops." }));
  stage.hidden = false;
  figure.classList.add("live");

  const at = new Map();
  data.frames.forEach((frame, k) => { if (frame.at) at.set(cell(frame.at), k); });
  for (const table of new Set([...at.keys()].map((one) => one.closest("table")))) table.setAttribute("role", "grid");
  let inTabOrder = null;
  for (const [one, k] of at) {
    one.setAttribute("role", "gridcell");
    one.tabIndex = -1;
    one.addEventListener("mouseenter", () => { if (!timer) draw(k); });
    one.addEventListener("mouseleave", () => { if (!timer) draw(current); });
    one.addEventListener("click", () => { stop(); current = k; reached = Math.max(k, reached); draw(k); one.focus(); });
    one.addEventListener("focus", () => { if (!timer && current !== k) { current = k; reached = Math.max(k, reached); draw(k); } });
    if (!inTabOrder) (inTabOrder = one).tabIndex = 0;
  }

  function draw(k) {
    const shown = Math.max(k, reached);
    const look = new Map();
    const of = (place) => {
      const key = place.join();
      if (!look.has(key)) look.set(key, { place, html: plain[place[0]][place[1]][place[2]].html, roles: [] });
      return look.get(key);
    };
    plain.forEach((rows, p) => rows.forEach((row, i) => row.forEach((_, j) => of([p, i, j]))));
    for (let n = 0; n <= shown; n++) for (const [place, html] of data.frames[n].written) of(place).html = html;
    if (k >= 0) for (const [place, role] of data.frames[k].marks) of(place).roles.push(role);
    const outlined = (p, i, j) => look.get([p, i, j].join())?.roles.some((role) => data.roles[role].cue === "outline");
    for (const { place, html, roles } of look.values()) {
      const [p, i, j] = place, one = cell(place), before = plain[p][i][j];
      const names = before.names.split(" ").filter(Boolean);
      for (const role of roles) {
        const { cue, bold } = data.roles[role];
        names.push("cell-" + role);
        if (bold) names.push("bold");
        if (cue === "frame") names.push("at-top", "at-right", "at-bottom", "at-left");
        else if (cue === "outline") {
          if (!outlined(p, i - 1, j)) names.push("at-top");
          if (!outlined(p, i, j + 1)) names.push("at-right");
          if (!outlined(p, i + 1, j)) names.push("at-bottom");
          if (!outlined(p, i, j - 1)) names.push("at-left");
        } else names.push(cue);
      }
      const name = names.join(" ");
      if (one.className !== name) one.className = name;
      if (one.innerHTML !== html) one.innerHTML = html;
    }
    words.innerHTML = k < 0 ? "" : data.frames[k].words;
    count.textContent = k < 0 ? `${last + 1} ${data.things}` : `${k + 1} of ${last + 1}`;
    const held = k >= 0 && data.frames[k].at && cell(data.frames[k].at);
    if (held) {
      inTabOrder.tabIndex = -1;
      (inTabOrder = held).tabIndex = 0;
    }
  }
  function go(k) {
    current = reached = Math.min(Math.max(k, 0), last);
    const moves = at.has(document.activeElement);
    draw(current);
    if (moves && data.frames[current].at) cell(data.frames[current].at).focus();
  }
  function all() { current = -1; reached = last; draw(-1); }
  function named() {
    play.textContent = timer ? "Pause" : "Play";
    play.setAttribute("aria-label", timer ? "Pause" : "Play");
  }
  function stop() { clearInterval(timer); timer = 0; named(); }
  function start() {
    go(current >= last ? 0 : current + 1);
    timer = setInterval(() => (current >= last ? stop() : go(current + 1)), data.pause);
    named();
  }
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inButton = event.target.tagName === "BUTTON";
    const below = (rows) => {
      const place = data.frames[Math.max(current, 0)].at;
      return (place && at.get(cells[place[0]][place[1] + rows]?.[place[2]])) ?? current;
    };
    const moves = { ArrowRight: () => current + 1, ArrowLeft: () => current - 1, Home: () => 0, End: () => last,
      ArrowDown: () => below(1), ArrowUp: () => below(-1) };
    if (event.key === " " && !inButton) timer ? stop() : start();
    else if (event.key in moves) {
      stop();
      go(moves[event.key]());
    } else return;
    event.preventDefault();
  });
  addEventListener("beforeprint", stop);
  named();
  draw(-1);
}
