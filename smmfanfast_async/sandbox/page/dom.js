// Build elements. Texts only ever become text nodes: nothing here can make HTML of them.

const SVG = "http://www.w3.org/2000/svg";

/** Return an element; `on…` properties are listeners, true is an empty attribute, null is none. */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** Return an SVG element. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set the text of an element, unless it is there already: an unchanged node keeps a selection. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const PAUSE_MS = 250;

/**
 * Return a function that calls `load` once at a time: calls meanwhile become one more at the end,
 * so that the last one always shows what is there, and many of them cost little.
 */
export function paced(load) {
  let isBusy = false;
  let again = false;
  return async () => {
    again = true;
    if (isBusy) return;
    isBusy = true;
    while (again) {
      again = false;
      await load();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    isBusy = false;
  };
}

const ICONS = {
  orders: "M4 6h16M4 12h16M4 18h10",
  traffic: "M7 4v16m0 0-3-3m3 3 3-3M17 20V4m0 0-3 3m3-3 3 3",
  services: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  faults: "M13 3 5 14h6l-1 7 8-11h-6z",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3 2",
  account: "M3 7h18v12H3zM3 7l3-3h11v3M16 13h2",
  record: "M8 4 3 12l5 8M16 4l5 8-5 8",
  close: "M6 6l12 12M18 6 6 18",
  theme: "M12 3a9 9 0 0 0 0 18zM12 3a9 9 0 0 1 0 18",
};

/** Return a decorative icon. */
export function icon(name) {
  return svg(
    "svg",
    { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: ICONS[name] }),
  );
}
