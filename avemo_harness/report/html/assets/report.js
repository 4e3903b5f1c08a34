"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { tasks, turns, users, replies } = data;
  const PAGE = 100;
  const COLOURS = { user: "#0072b2", reply: "#d55e00" };
  const SIGNS = { right: "✓", wrong: "✗" };
  const byKey = new Map(turns.map((turn) => [turn.key, turn]));
  const list = document.getElementById("list");
  const detail = document.getElementById("detail");
  const count = document.getElementById("count");
  const more = document.getElementById("more");
  const filters = document.getElementById("filters");
  let found = turns;
  let shown = 0;
  let current = null;
  let leave = () => {};

  function element(name, attributes = {}, ...content) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== undefined) made.setAttribute(key, value);
    }
    made.append(...content);
    return made;
  }

  const emotionOf = (turn) => turn.gold ?? (turn.heard ? `heard ${turn.heard}, seen ${turn.seen}` : "");
  const nameOf = (task) => ["choice", "text", "number"].includes(tasks[task].kind) ? tasks[task].name
    : tasks[task].condition.replaceAll("_", " ") + (tasks[task].kind === "speech" ? ", reply" : "");
  const outcomeOf = (answer) => answer.label === undefined && ["wrong", "other", "no number"].includes(answer.verdict) ? "invalid" : answer.verdict;

  function values(of) {
    return [...new Set(turns.flatMap(of))].filter((one) => one !== undefined && one !== "").sort();
  }

  const choices = {
    split: { title: "split", options: [...new Set(tasks.map((task) => task.group))] },
    asked: { title: "asked", options: [...new Set(tasks.map((_, number) => nameOf(number)))] },
    emotion: { title: "emotion", options: values((turn) => [turn.gold, turn.heard, turn.seen]) },
    outcome: { title: "outcome", options: values((turn) => turn.answers.map(outcomeOf)) },
    flag: { title: "oddity", options: values((turn) => turn.answers.flatMap((answer) => answer.flags ?? [])) },
  };

  function makeFilters() {
    for (const [name, { title, options }] of Object.entries(choices)) {
      if (options.length < 2 && name !== "flag" || !options.length) continue;
      const select = element("select", { name }, element("option", { value: "" }, "any"));
      for (const option of options) select.append(element("option", { value: option }, option));
      filters.append(element("label", {}, title, select));
    }
    const search = element("input", { name: "text", type: "search", placeholder: "id, words, answer" });
    filters.append(element("label", {}, "search", search));
    filters.addEventListener("input", apply);
    filters.addEventListener("submit", (event) => event.preventDefault());
  }

  function wanted() {
    const chosen = Object.fromEntries(new FormData(filters));
    const words = (chosen.text ?? "").toLowerCase();
    return (turn) => {
      if (chosen.emotion && ![turn.gold, turn.heard, turn.seen].includes(chosen.emotion)) return false;
      const fits = turn.answers.some((answer) =>
        (!chosen.split || tasks[answer.task].group === chosen.split) &&
        (!chosen.asked || nameOf(answer.task) === chosen.asked) &&
        (!chosen.outcome || outcomeOf(answer) === chosen.outcome) &&
        (!chosen.flag || (answer.flags ?? []).includes(chosen.flag)));
      if (!fits) return false;
      return !words || [turn.key, turn.said, ...turn.answers.map((answer) => answer.text)]
        .some((text) => text?.toLowerCase().includes(words));
    };
  }

  function apply() {
    found = turns.filter(wanted());
    shown = 0;
    list.replaceChildren();
    count.textContent = `${found.length.toLocaleString("en")} of ${turns.length.toLocaleString("en")} turns`;
    showMore();
  }

  function showMore() {
    for (const turn of found.slice(shown, shown + PAGE)) list.append(element("li", {}, entry(turn)));
    shown = Math.min(shown + PAGE, found.length);
    more.hidden = shown === found.length;
    mark();
  }

  function entry(turn) {
    const chips = turn.answers.map((answer) => element("span", { class: answer.verdict },
      `${nameOf(answer.task)}: ${SIGNS[answer.verdict] ?? ""} ${answer.label ?? outcomeOf(answer)}`));
    const playable = users[turn.key] || replies[turn.key] ? " ▸" : "";
    const made = element("button", { type: "button" },
      element("span", { class: "name" }, element("bdi", {}, turn.key + playable), element("bdi", {}, emotionOf(turn))),
      element("span", { class: "chips" }, ...chips));
    made.dataset.key = turn.key;
    return made;
  }

  function mark() {
    for (const button of list.querySelectorAll("button")) {
      if (button.dataset.key === current?.key) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  function open(turn) {
    leave();
    current = turn;
    mark();
    detail.replaceChildren(element("h3", {}, element("bdi", {}, turn.key)));
    detail.append(element("p", {}, emotionOf(turn) || "no label", element("span", { class: "faint" },
      `  ${turn.group}, dialogue ${turn.dialogue}, turn ${turn.turn}`)));
    if (turn.said) detail.append(element("blockquote", { class: "said" }, turn.said));
    const players = showPlayers(turn);
    leave = showCurves(turn, players);
    detail.append(answersTable(turn));
  }

  function showPlayers(turn) {
    const players = {};
    const box = element("div", { class: "players" });
    for (const [who, title, source] of [["user", "user", users], ["reply", "spoken reply", replies]]) {
      const recording = source[turn.key];
      if (!recording) continue;
      const player = element(recording.kind, { controls: "", preload: "metadata", src: recording.url, "aria-label": title });
      if (recording.kind === "video") player.setAttribute("playsinline", "");
      players[who] = player;
      box.append(element("figure", {}, element("figcaption", {}, title), player));
    }
    if (box.children.length) detail.append(box);
    return players;
  }

  // The reply's curve stands behind the user's, as the dialogue went.
  function showCurves(turn, players) {
    if (!turn.user && !turn.reply) return () => {};
    const length = (curve) => curve ? curve.valence.length / curve.rate_hz : 0;
    const offsets = { user: 0, reply: length(turn.user) };
    const end = offsets.reply + length(turn.reply);
    const plots = ["valence", "arousal"].map((dimension) => plot(turn, dimension, offsets, end, players));
    let playing = null;
    const move = () => {
      if (playing) for (const one of plots) one.move(offsets[playing] + players[playing].currentTime);
    };
    let frame = 0;
    const watch = () => {
      if (playing && !players[playing].paused) move();
      frame = requestAnimationFrame(watch);
    };
    for (const [who, player] of Object.entries(players)) {
      for (const kind of ["play", "seeking", "seeked", "timeupdate"]) {
        player.addEventListener(kind, () => {
          playing = who;
          move();
        });
      }
    }
    watch();
    return () => {
      cancelAnimationFrame(frame);
      for (const player of Object.values(players)) player.pause();
      for (const one of plots) one.remove();
    };
  }

  function plot(turn, dimension, offsets, end, players) {
    const box = element("div", { class: "curve" });
    detail.append(box);
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
    const times = [], series = { user: [], reply: [] };
    for (const who of ["user", "reply"]) {
      const curve = turn[who];
      curve?.[dimension].forEach((value, i) => {
        times.push(offsets[who] + (i + 0.5) / curve.rate_hz);
        series.user.push(who === "user" ? value : null);
        series.reply.push(who === "reply" ? value : null);
      });
    }
    const axis = { stroke: colour("--faint"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { show: false } };
    const line = (who) => ({ label: who === "user" ? "user" : "reply", stroke: COLOURS[who], width: 2, points: { size: 5 },
      value: (_, value) => value == null ? "–" : value.toFixed(2) });
    const size = () => ({ width: Math.max(220, Math.min(box.clientWidth, 640)), height: 150 });
    const made = new uPlot({
      ...size(),
      scales: { x: { time: false, range: [0, end] }, y: { range: [0, 1] } },
      axes: [{ ...axis, values: (_, ticks) => ticks.map((tick) => `${tick} s`) }, { ...axis, label: dimension, size: 40, labelSize: 20, splits: [0, 0.25, 0.5, 0.75, 1] }],
      series: [{ label: "time", value: (_, value) => value == null ? "–" : `${value.toFixed(2)} s` }, line("user"), line("reply")],
      legend: { show: dimension === "arousal" },
      cursor: { drag: { x: false, y: false } },
    }, [times, series.user, series.reply], box);
    const playhead = element("div", { class: "playhead", "data-dimension": dimension });
    playhead.hidden = true;
    made.over.append(playhead);
    let at = 0;
    const move = (time) => {
      at = time;
      playhead.hidden = false;
      playhead.style.left = `${made.valToPos(Math.min(time, end), "x")}px`;
    };
    made.over.addEventListener("click", (event) => {
      const time = made.posToVal(event.clientX - made.over.getBoundingClientRect().left, "x");
      const who = time >= offsets.reply && players.reply ? "reply" : "user";
      if (players[who]) players[who].currentTime = Math.max(0, time - offsets[who]);
    });
    const resized = new ResizeObserver(() => {
      made.setSize(size());
      if (!playhead.hidden) move(at);
    });
    resized.observe(box);
    return { move, remove: () => { resized.disconnect(); made.destroy(); box.remove(); } };
  }

  function answersTable(turn) {
    const head = element("tr", {}, ...["asked", "result", "answer"].map((name) => element("th", { scope: "col" }, name)));
    const rows = turn.answers.map((answer) => {
      const outcome = element("td", {}, element("span", { class: answer.verdict },
        `${SIGNS[answer.verdict] ?? ""} ${answer.label ?? ""} ${outcomeOf(answer)}`));
      for (const note of [answer.why, ...(answer.flags ?? []).map((flag) => flag.replaceAll("_", " "))]) {
        if (note) outcome.append(element("br"), element("small", {}, note));
      }
      const scores = Object.entries(answer.values ?? {}).map(([name, value]) => `${name} ${value === null ? "—" : value.toFixed(3)}`);
      const text = element("td", {}, element("span", { class: "said" }, answer.text ?? ""));
      for (const option of answer.options ?? []) {
        const letter = option[0], right = letter === answer.truth ? " (right)" : "", named = letter === answer.label ? " ◂" : "";
        text.append(element("br"), element("small", {}, option + right + named));
      }
      if (scores.length) text.append(element("small", {}, scores.join(", ")));
      return element("tr", {}, element("th", { scope: "row" }, nameOf(answer.task)), outcome, text);
    });
    return element("div", { class: "wide" }, element("table", { class: "answers" }, element("thead", {}, head), element("tbody", {}, ...rows)));
  }

  function named() {
    try {
      return decodeURIComponent(location.hash.slice(1));
    } catch {
      return ""; // An address that was cut off, as some programs do at a percent sign.
    }
  }

  function follow() {
    const turn = byKey.get(named());
    if (!turn) return;
    open(turn);
    detail.scrollIntoView({ block: "nearest" });
  }

  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    open(byKey.get(button.dataset.key));
    history.replaceState(null, "", `#${encodeURIComponent(button.dataset.key)}`);
    if (matchMedia("(max-width: 52rem)").matches) detail.scrollIntoView();
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = [...list.querySelectorAll("button")];
    const next = buttons[buttons.indexOf(document.activeElement) + step];
    if (!next) return;
    next.focus();
    next.click();
  });
  more.addEventListener("click", showMore);
  addEventListener("hashchange", follow);

  makeFilters();
  apply();
  if (found.length) open(found[0]);
  follow();
})();
