// The leaderboards of a site. All state is in the address behind #, so that what is seen can be
// shared; texts of others become text nodes, never markup. A data file calls embedlabBoard.
"use strict";

const PAGE = 100; // rows shown at first
const SHORT = 16; // letters of a header that stay on one line
const CARD = 22; // letters of a name and its value that fit into half a card
const BROAD = 80; // letters of a fact that has a line of its own
const LONG = 48; // letters of a name that is broken into lines
const PLACES = new Set(["#", "place", "rank interval", "tier"]); // less is better
const COMMON = ["benchmark"]; // what a link to another page of the site keeps
const { boards: ENTRIES } = JSON.parse(document.getElementById("site").textContent);
const loaded = new Map();
window.embedlabBoard = (board) => loaded.set(board.title, board);

// ---- the address ------------------------------------------------------------------------------

const state = () => new URLSearchParams(location.hash.slice(1));

/** The address with some of its parts set, or left out where they are empty. */
function address(changes, keep = [...state().keys()]) {
  const parts = new URLSearchParams();
  for (const [name, value] of state()) if (keep.includes(name)) parts.set(name, value);
  for (const [name, value] of Object.entries(changes)) {
    if (value) parts.set(name, value);
    else parts.delete(name);
  }
  return `#${parts}`;
}

const page = (changes) => address(changes, COMMON);

/** Change the address in place, as typing does, and show what it says. */
function amend(changes) {
  history.replaceState(null, "", address(changes));
  draw();
}

// ---- elements ---------------------------------------------------------------------------------

/** An element with attributes and children; texts among these are text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value != null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child || child === 0));
  return element;
}

const link = (href, ...children) => make("a", { href }, ...children);

function choice(label, options, chosen, onchange, first) {
  const listed = options.map((name) => make("option", { value: name, selected: name === chosen }, name));
  const every = first ? [make("option", { value: "" }, first)] : [];
  return field(label, make("select", { onchange: (event) => onchange(event.target.value) }, every, listed));
}

/** A control with its label before it. */
function field(label, control) {
  const id = `field-${label.replaceAll(" ", "-")}`;
  control.id = control.dataset.key = id;
  return make("div", { class: "field" }, make("label", { for: id }, label), control);
}

// ---- columns ----------------------------------------------------------------------------------

/** What the address calls a column: its own name, without how much of a benchmark it is of. */
const key = (column) => column.id ?? column.name;

/** The number of a cell, or of the text of an interval or a count; else its text. */
function value(column, row) {
  const cell = column.cells[row];
  if (typeof cell !== "string") return cell;
  if (!column.figures) return cell.toLowerCase();
  return cell === "" ? null : Number.parseFloat(cell);
}

/** A cell as `embedlab leaderboard` prints it. */
function text(column, row) {
  const cell = column.cells[row];
  if (cell == null || typeof cell === "string") return cell ?? "";
  const digits = column.digits ?? 0;
  const number = cell / 10 ** digits;
  const shown = Math.abs(number) < 10_000 ? digits : 0;
  column.formats ??= {};
  column.formats[shown] ??= new Intl.NumberFormat("en-US", {
    minimumFractionDigits: shown, maximumFractionDigits: shown,
    signDisplay: column.signed ? "always" : "auto",
  });
  return column.formats[shown].format(number);
}

/** The best of figures that differ. */
function best(column) {
  if (!column.best) return null;
  if (column.top === undefined) {
    const known = column.cells.filter((cell) => typeof cell === "number");
    const [low, high] = [Math.min(...known), Math.max(...known)];
    column.top = low === high || !known.length ? null : column.best === "max" ? high : low;
  }
  return column.top;
}

/** Rows in the order of a column, unknown values last, equal ones as they were. */
function sorted(rows, column, falling) {
  const known = rows.filter((row) => value(column, row) != null && value(column, row) !== "");
  known.sort((a, b) => {
    const [x, y] = falling ? [value(column, b), value(column, a)] : [value(column, a), value(column, b)];
    return typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
  });
  const there = new Set(known);
  return [...known, ...rows.filter((row) => !there.has(row))];
}

/** Whether a first click on a header sorts from the highest: figures whose best is not the least. */
const falls = (column) => Boolean(column.figures) && column.best !== "min" && !PLACES.has(column.name);

// ---- tables -----------------------------------------------------------------------------------

/** A table whose headers sort it; `of` gives what stands in the cell of a row header. */
function table(caption, columns, rows, header, of) {
  const typed = state().get("sort") ?? "";
  const sort = columns.find((column) => typed.replace(/^-/, "") === key(column));
  const falling = typed.startsWith("-");
  const ordered = sort ? sorted(rows, sort, falling) : rows;
  const shown = ordered.slice(0, Number(state().get("rows")) || PAGE);
  const head = columns.map((column) => {
    const down = column === sort ? !falling : falls(column);
    const order = column === sort ? (falling ? "descending" : "ascending") : null;
    return make("th", { scope: "col", class: column.figures && "figure", "aria-sort": order, title: column.help },
      make("button", {
        type: "button", "data-key": column.name,
        onclick: () => { location.hash = address({ sort: (down ? "-" : "") + key(column) }); },
      }, phrases(column.name), order && make("span", { class: "arrow", "aria-hidden": "true" }, falling ? " ▾" : " ▴")));
  });
  const tier = sort ? null : columns.find((column) => column.name === "tier");
  const begins = (at) => at > 0 && tier && tier.cells[shown[at]] !== tier.cells[shown[at - 1]];
  const body = shown.map((row, at) => make("tr", { class: begins(at) && "tier" }, columns.map((column) => (
    column === header
      ? make("th", { scope: "row", class: text(header, row).length > LONG && "long" }, of(row))
      : cell(column, row)
  ))));
  const more = Math.min(ordered.length - shown.length, shown.length);
  return [
    sortChoice(columns, sort),
    make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
      make("table", {}, make("caption", {}, caption), make("thead", {}, make("tr", {}, head)), make("tbody", {}, body))),
    more > 0 && make("p", {}, make("button", { type: "button", onclick: () => amend({ rows: String(shown.length + more) }) },
      `Show ${more.toLocaleString("en-US")} more`)),
  ].filter(Boolean);
}

/** A cell's text; where it is an address of the web, a link there. */
function written(column, row) {
  const shown = text(column, row);
  return /^https?:\/\//.test(shown)
    ? make("a", { href: shown, rel: "noopener noreferrer" }, shown.replace(/^https?:\/\/(www\.)?/, ""))
    : shown;
}

/** Sorting on a phone, where cards have no headers to click. */
function sortChoice(columns, sort) {
  const chosen = choice("Sort by", columns.map((column) => column.name), sort?.name, (name) => {
    const column = columns.find((each) => each.name === name);
    amend({ sort: column && (falls(column) ? "-" : "") + key(column) });
  }, "usual order");
  chosen.classList.add("narrow");
  return chosen;
}

/** A header that is broken behind its commas first, and within them only where they are long. */
const phrases = (name) => name.split(/(?<=,)( )/).map((part) => (
  part.trim() && part.length <= SHORT ? make("span", { class: "whole" }, part) : part));

function cell(column, row) {
  const content = column.link?.(row) ?? written(column, row);
  const letters = text(column, row).length;
  const broad = column.name.length + letters > CARD;
  const kinds = [column.figures && "figure", !letters && "nothing", broad && "broad"].filter(Boolean).join(" ");
  const strong = column.best && column.cells[row] != null && column.cells[row] === best(column);
  const mark = column.marks?.[row];
  const value = strong ? make("strong", {}, content) : content;
  return make("td", { class: kinds || null, "data-label": column.name },
    mark ? make("span", {}, value, make("sup", {}, mark)) : value, column.figures && bar(column, row));
}

/** The ends of an interval, written as 0.51 ... 0.62 or, between places, as 3-7. */
function ends(shown) {
  const found = /^(-?[\d.]+)(?: \.\.\. |-)(-?[\d.]+)$/.exec(shown);
  return found && [Number(found[1]), Number(found[2])];
}

/** A line as long as an interval is wide, where it lies among those of all rows. */
function bar(column, row) {
  const own = ends(column.cells[row]);
  if (!own) return null;
  column.span ??= column.cells.flatMap((cell) => ends(cell) ?? [])
    .reduce(([low, high], end) => [Math.min(low, end), Math.max(high, end)], [Infinity, -Infinity]);
  const [low, high] = column.span;
  const drawn = make("span", { class: "bar", "aria-hidden": "true" }, make("span"));
  drawn.firstChild.style.marginLeft = `${100 * (own[0] - low) / (high - low)}%`;
  drawn.firstChild.style.width = `${100 * (own[1] - own[0]) / (high - low)}%`;
  return drawn;
}
