// A list of any length: only the rows in sight exist, and only they are fetched.

import { h, setText } from "./dom.js";

const MARGIN_ROWS = 15; // above and below those in sight, so that scrolling shows no gaps
const MAX_ROWS = 200; // the most rows of one answer
const MIN_PAUSE_MS = 200; // between two fetches
const PAUSE_SHARE = 4; // a fetch that takes long is followed by a longer pause

export class VirtualList {
  /**
   * `fetchRows(offset, limit)` returns `{total, rows}`; `keyOf(row)` names a row; `render(row)`
   * returns the children of its button; `onOpen(row)` is called when it is pressed.
   */
  constructor({ label, fetchRows, keyOf, describe, render, onOpen, onTotal, onFailed, empty }) {
    Object.assign(this, { fetchRows, keyOf, describe, render, onOpen, onTotal, onFailed, empty });
    this.rows = new Map();
    this.total = null;
    this.offset = 0;
    this.busy = false;
    this.again = false;
    this.generation = 0;
    this.space = h("div", { class: "space", role: "list", "aria-label": label });
    this.message = h("div", { class: "empty", hidden: true });
    this.element = h(
      "div",
      { class: "list", onscroll: () => this.onScroll(), onkeydown: (event) => this.onKey(event) },
      this.space,
      this.message,
    );
    this.resized = new ResizeObserver(() => this.refresh());
    this.resized.observe(this.element);
  }

  get rowHeight() {
    return Number.parseFloat(getComputedStyle(this.element).getPropertyValue("--row-height")) || 56;
  }

  /** Fetch the rows in sight again; what is shown stays until they arrive. */
  refresh() {
    if (this.busy) {
      this.again = true;
      return;
    }
    this.load();
  }

  /** Show the list from its start: the filters have changed. */
  reset() {
    this.generation += 1;
    this.element.scrollTop = 0;
    this.total = null;
    this.refresh();
  }

  async load() {
    this.busy = true;
    this.again = false;
    const { generation } = this;
    const startedMs = performance.now();
    const first = Math.max(Math.floor(this.element.scrollTop / this.rowHeight) - MARGIN_ROWS, 0);
    const inSight = Math.ceil((this.element.clientHeight || 600) / this.rowHeight);
    try {
      const page = await this.fetchRows(first, Math.min(inSight + 2 * MARGIN_ROWS, MAX_ROWS));
      if (generation === this.generation) this.show(page, first);
      else this.again = true;
    } catch (error) {
      this.onFailed?.(error);
    }
    const tookMs = performance.now() - startedMs;
    setTimeout(() => {
      this.busy = false;
      if (this.again && this.element.isConnected) this.load();
    }, Math.max(MIN_PAUSE_MS, tookMs * PAUSE_SHARE));
  }

  show({ total, rows }, offset) {
    const added = this.total === null ? 0 : total - this.total;
    this.total = total;
    this.offset = offset;
    this.space.style.height = `${total * this.rowHeight}px`;
    if (added > 0 && this.element.scrollTop > this.rowHeight) {
      // New rows come first: keep those in sight where they are.
      this.element.scrollTop += added * this.rowHeight;
    }
    this.onTotal?.(total);
    this.place(rows);
    this.message.hidden = total > 0;
    if (total === 0) this.message.replaceChildren(...this.empty());
  }

  place(rows) {
    const older = this.rows;
    this.rows = new Map();
    const wanted = rows.map((row, index) => {
      const key = this.keyOf(row);
      const item = older.get(key) ?? this.createItem();
      older.delete(key);
      this.rows.set(key, item);
      this.update(item, row, this.offset + index);
      return item.element;
    });
    for (const item of older.values()) item.element.remove();
    // Rows that are there already are not moved: one with the focus keeps it.
    let next = this.space.firstChild;
    for (const element of wanted) {
      if (element === next) next = next.nextSibling;
      else this.space.insertBefore(element, next);
    }
  }

  createItem() {
    const item = { row: null, text: "" };
    item.button = h("button", { type: "button", class: "row", onclick: () => this.onOpen(item.row) });
    item.element = h("div", { role: "listitem", class: "item" }, item.button);
    return item;
  }

  update(item, row, index) {
    item.row = row;
    item.element.style.top = `${index * this.rowHeight}px`;
    item.element.setAttribute("aria-setsize", this.total);
    item.element.setAttribute("aria-posinset", index + 1);
    const text = JSON.stringify(row);
    if (item.text === text) return;
    item.text = text;
    item.button.setAttribute("aria-label", this.describe(row));
    item.button.replaceChildren(...this.render(row));
  }

  onScroll() {
    const first = Math.floor(this.element.scrollTop / this.rowHeight);
    const last = first + Math.ceil(this.element.clientHeight / this.rowHeight);
    const isMissing = first < this.offset || last > this.offset + this.rows.size;
    if (this.total !== null && isMissing) this.refresh();
  }

  onKey(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (!(event.key in steps) || !event.target.classList.contains("row")) return;
    const item = event.target.parentElement;
    const next = steps[event.key] > 0 ? item.nextSibling : item.previousSibling;
    next?.firstChild.focus();
    event.preventDefault();
  }
}

/** Return a line that says how many rows a list has. */
export function counter() {
  const element = h("p", { class: "count", role: "status" });
  return { element, set: (text) => setText(element, text) };
}
