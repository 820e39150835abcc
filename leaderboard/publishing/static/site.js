// The pages of a site, and which of them the address asks for. Read after tables.js.
"use strict";

const TITLE = document.title;
const SIZES = { "at most 100 million": "1e8", "at most 500 million": "5e8", "at most 1 billion": "1e9", "at most 8 billion": "8e9" };

// ---- pages ------------------------------------------------------------------------------------

const rowsOf = (board) => [...Array(board.rows).keys()];
const scoreColumns = (board) => board.scores.map((at) => board.columns[at]).filter(Boolean);
const named = (board, id) => board.columns.find((column) => column.id === id);
const ofTask = (board, name) => board.tasks.find((column) => column.name === name);
const toModel = (board) => (row) => {
  const name = board.columns[board.model].cells[row];
  return link(page({ model: name }), name);
};

/** The rows that the search and the filters leave. */
function chosenRows(board) {
  const words = (state().get("search") ?? "").toLowerCase().split(/\s+/);
  const wanted = board.filters.map((at) => board.columns[at])
    .filter((column) => state().has(`is ${column.id}`));
  const models = board.columns[board.model].cells.map((name) => name.toLowerCase());
  const sizes = board.columns[board.parameters];
  const most = Number(state().get("most")) || Infinity;
  return rowsOf(board).filter((row) => words.every((word) => models[row].includes(word))
    && (most === Infinity || (sizes && sizes.cells[row] != null && sizes.cells[row] <= most))
    && wanted.every((column) => text(column, row) === state().get(`is ${column.id}`)));
}

/** The columns that the address names, or those of its set. */
function chosenColumns(board) {
  const ids = state().get("columns")?.split("|");
  const found = ids?.map((id) => named(board, id)).filter(Boolean) ?? [];
  if (found.length) return found;
  const name = state().get("set");
  const set = Object.hasOwn(board.sets, name) ? name : Object.keys(board.sets)[0];
  return board.sets[set].map((at) => board.columns[at]);
}

function leaderboardPage(board, entry) {
  const columns = chosenColumns(board);
  const count = make("p", { role: "status", class: "count" });
  const results = make("div");
  const fill = () => {
    const rows = chosenRows(board);
    count.textContent = `${rows.length.toLocaleString("en-US")} of ${board.rows.toLocaleString("en-US")} models`;
    results.replaceChildren(...(rows.length
      ? table(heading(board), columns, rows, board.columns[board.model], toModel(board))
      : [make("p", {}, "No model passes the search and the filters.")]));
  };
  const search = make("input", {
    type: "search", value: state().get("search") ?? "", placeholder: "part of a name",
    oninput: (event) => {
      history.replaceState(null, "", address({ search: event.target.value }));
      fill();
    },
  });
  const filters = kinds(board).map((column) => {
    const values = [...new Set(rowsOf(board).map((row) => text(column, row)))].filter(Boolean).sort();
    return choice(column.name, values, state().get(`is ${column.id}`),
      (chosen) => amend({ [`is ${column.id}`]: chosen }), "all");
  });
  const most = board.parameters != null && choice("parameters", Object.keys(SIZES),
    Object.keys(SIZES).find((name) => SIZES[name] === state().get("most")),
    (name) => amend({ most: SIZES[name] }), "all");
  fill();
  return [
    make("h2", {}, heading(board)),
    make("div", { class: "controls" },
      field("Search models", search),
      choice("Column set", Object.keys(board.sets), state().get("set"), (set) => amend({ set, columns: "" })),
      most, filters, columnChooser(board, columns)),
    count, results, legend(board, entry),
  ];
}

const heading = (board) => [board.title, board.coverage].filter(Boolean).join(", ");

/** All columns to choose from, drawn where they are looked at. */
function columnChooser(board, columns) {
  const ids = columns.map((column) => column.id);
  const box = (column) => make("label", {}, make("input", {
    type: "checkbox", "data-key": `column ${column.id}`, checked: ids.includes(column.id),
    onchange: (event) => amend({
      columns: (event.target.checked ? [...ids, column.id] : ids.filter((id) => id !== column.id)).join("|"),
    }),
  }), column.name);
  const boxes = make("div");
  const fill = () => { if (!boxes.firstChild) boxes.append(...board.columns.map(box)); };
  const open = Boolean(document.querySelector(".chooser")?.open);
  if (open) fill();
  return make("details", { class: "chooser", open, ontoggle: fill },
    make("summary", { "data-key": "columns" }, "Columns"), boxes);
}

function legend(board, entry) {
  return make("div", { class: "legend" }, board.legend.map((line) => make("p", {}, line)),
    make("p", {}, "The same ranking in a terminal: ", make("code", {}, board.command)),
    make("p", {}, make("a", { href: entry.csv, download: "" }, "This leaderboard as CSV")));
}

/** What is known of a row; what has lines of its own, a citation, unfolds. */
function facts(columns, row) {
  const known = columns.filter((column) => text(column, row) !== "");
  const lines = (column) => text(column, row).includes("\n");
  return [
    make("dl", {}, known.filter((column) => !lines(column)).map((column) => (
      make("div", { class: text(column, row).length > BROAD && "broad" },
        make("dt", {}, column.name), make("dd", {}, written(column, row), column.marks?.[row]))))),
    ...known.filter(lines).map((column) => (
      make("details", {}, make("summary", {}, column.name), make("pre", {}, text(column, row))))),
  ];
}

/** The place of a row on a task: one more than how many are better, as the scores are shown. */
function placed(column, row) {
  const score = column.cells[row];
  return score == null ? null : 1 + column.cells.filter((other) => other != null && other > score).length;
}

function modelPage(board, name) {
  const row = board.columns[board.model].cells.indexOf(name);
  if (row < 0) return [make("h2", {}, name), make("p", {}, `${board.title} has no results of this model.`)];
  const shown = board.scores.map((at, task) => [board.columns[at], task]).filter(([column]) => column?.cells[row] != null);
  const of = (task) => board.tasks[0].cells[task];
  const scores = shown.map(([column]) => column);
  const digits = scores[0]?.digits ?? 0;
  const highest = scores.map((column) => Math.max(...column.cells.filter((cell) => cell != null)));
  const columns = [
    { name: "task", cells: shown.map(([, task]) => of(task)) },
    { name: "type", cells: shown.map(([, task]) => ofTask(board, "type").cells[task]) },
    { name: "score", figures: true, digits, cells: scores.map((column) => column.cells[row]) },
    { name: "place", figures: true, cells: scores.map((column) => placed(column, row)) },
    { name: "of models", figures: true, cells: shown.map(([, task]) => ofTask(board, "models").cells[task]) },
    { name: "best score", figures: true, digits, cells: highest },
    { name: "behind the best", figures: true, digits, cells: scores.map((column, at) => highest[at] - column.cells[row]) },
  ];
  const own = new Set(scoreColumns(board));
  return [
    make("h2", { tabindex: "-1" }, name),
    ...facts(board.columns.filter((column, at) => at !== board.model && !own.has(column)), row),
    make("h3", {}, "Scores by task"),
    ...table(`${name}: scores by task`, columns, [...shown.keys()], columns[0],
      (at) => link(page({ task: of(shown[at][1]) }), of(shown[at][1]))),
  ];
}

function tasksPage(board) {
  const columns = board.tasks;
  const models = ofTask(board, "best model");
  models.link = (row) => link(page({ model: models.cells[row] }), models.cells[row]);
  return [
    make("h2", {}, `Tasks of ${board.title}`),
    ...table(`Tasks of ${board.title}`, columns, [...columns[0].cells.keys()], columns[0],
      (row) => link(page({ task: columns[0].cells[row] }), columns[0].cells[row])),
  ];
}

function taskPage(board, name) {
  const at = board.tasks[0].cells.indexOf(name);
  const column = board.columns[board.scores[at]];
  if (!column) return [make("h2", {}, name), make("p", {}, `${board.title} has no results on this task.`)];
  const place = { name: "#", figures: true, cells: rowsOf(board).map((row) => placed(column, row)) };
  const rows = sorted(rowsOf(board), place, false).filter((row) => column.cells[row] != null);
  const model = board.columns[board.model];
  return [
    make("h2", { tabindex: "-1" }, name), ...facts([...board.tasks.slice(1), ...board.more], at),
    make("h3", {}, "Models by score"),
    ...table(`Models on ${name}`, [place, model, column, ...kinds(board)], rows, model, toModel(board)),
  ];
}

/** The columns that rows are chosen by, where they tell any apart. */
const kinds = (board) => board.filters.map((at) => board.columns[at]).filter((column) => new Set(column.cells).size > 1);

// ---- drawing ----------------------------------------------------------------------------------

function navigation(entry) {
  const current = ["task", "view"].some((name) => state().has(name)) ? "Tasks" : "Models";
  const listed = [["Models", page({})], ["Tasks", page({ view: "tasks" })]].map(([name, href]) => (
    make("a", { href, "aria-current": name === current && "page" }, name)));
  const benchmarks = choice("Benchmark", ENTRIES.map((each) => each.title), entry.title, (benchmark) => {
    location.hash = address({ benchmark }, ["view", "model", "task", "set", "search"]);
  });
  document.getElementById("pages").replaceChildren(benchmarks, ...listed);
}

function load(entry) {
  const script = make("script", {
    src: entry.data, onload: draw,
    onerror: () => document.getElementById("main").replaceChildren(make("p", { role: "alert" },
      `${entry.data} cannot be read: it belongs to the site, beside this page.`)),
  });
  document.head.append(script);
}

let drawn = ""; // the page that is there; another one is read from its top

/** Show what the address says. */
function draw() {
  const asked = state().get("benchmark");
  const entry = ENTRIES.find((each) => each.title === asked) ?? ENTRIES[0];
  const board = loaded.get(entry.title);
  if (!board) {
    load(entry);
    return;
  }
  for (const column of board.columns) column.id ??= column.name;
  const focused = document.activeElement?.dataset?.key;
  const [model, task] = [state().get("model"), state().get("task")];
  navigation(entry);
  const missing = asked && asked !== entry.title;
  document.getElementById("main").replaceChildren(
    ...(missing ? [make("p", { role: "alert" }, `This site has no leaderboard of ${asked}.`)] : []),
    ...(model ? modelPage(board, model)
      : task ? taskPage(board, task)
        : state().get("view") === "tasks" ? tasksPage(board)
          : leaderboardPage(board, entry)));
  document.title = [model ?? task ?? heading(board), TITLE].join(" – ");
  const now = [entry.title, model, task, state().get("view")].join("\n");
  if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  else if (drawn && drawn !== now) {
    scrollTo(0, 0);
    document.querySelector("h2[tabindex]")?.focus({ preventScroll: true });
  }
  drawn = now;
}

addEventListener("hashchange", draw);
draw();
