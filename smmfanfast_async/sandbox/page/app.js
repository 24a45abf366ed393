// The frame of the page: its head, its views, its dialog, and the state that they all show.

import { createAccount } from "./account.js";
import { ApiError, follow, read, run, takeToken } from "./api.js";
import { createClock } from "./clock.js";
import { h, icon, setText } from "./dom.js";
import { createFaults } from "./faults.js";
import { createOrders } from "./orders.js";
import { createRecord } from "./record.js";
import { createServices } from "./services.js";
import {
  chooseLanguage, currentLanguage, firstLanguage, formatClock, formatMoney, formatNumber, t,
} from "./text.js";
import { createTraffic } from "./traffic.js";

const VIEWS = {
  orders: createOrders,
  traffic: createTraffic,
  services: createServices,
  faults: createFaults,
  clock: createClock,
  account: createAccount,
  record: createRecord,
};
const NOTICE_MS = 6000;

let state = null;
let view = null;
let shown = null; // what is in the dialog, if it is open
let head = null;
let noticeTimer = 0;

const context = { state: () => state, read, act, notify, openDialog, closeDialog, go, copy };

/** Carry out a command, say what happened, and show the new state; false if it failed. */
async function act(command, fields, notice) {
  try {
    onState(await run(command, fields));
    if (notice) notify(notice);
    return true;
  } catch (error) {
    fail(error);
    return false;
  }
}

function fail(error) {
  if (error instanceof ApiError && error.status === 401) showRefused();
  else notify(t("failed", { text: error.message }), true);
}

function notify(text, isError = false) {
  clearTimeout(noticeTimer);
  // What is outside an open dialog can be neither seen nor heard.
  (head.dialog.open ? head.dialog : document.body).append(head.notice);
  head.notice.className = isError ? "notice error" : "notice";
  setText(head.notice, text);
  noticeTimer = setTimeout(() => setText(head.notice, ""), NOTICE_MS);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    notify(t("copied"));
  } catch {
    notify(t("copyFailed"), true);
  }
}

/** Show children in the dialog; `refresh` is called with each new state while it is open. */
function openDialog(title, children, refresh = null) {
  shown = refresh;
  setText(head.dialogTitle, title);
  head.dialogBody.replaceChildren(...children);
  if (!head.dialog.open) head.dialog.showModal();
  head.dialogBody.scrollTop = 0;
}

function closeDialog() {
  head.dialog.close();
}

function go(name) {
  if (location.hash === `#${name}`) showView();
  else location.hash = name;
}

function onState(next) {
  const isChanged = state === null || state.revision !== next.revision;
  state = next;
  if (head === null) return;
  const stopped = next.speed === 0;
  setText(head.balance, formatMoney(next.balance, next.currency));
  setText(head.clock, formatClock(next.now_s));
  setText(head.speed, stopped ? t("stopped") : t("speedShort", { speed: formatNumber(next.speed) }));
  setText(head.counts.orders, formatNumber(next.orders.total));
  setText(head.counts.traffic, formatNumber(next.requests.total));
  const faults = next.faults.pending + next.faults.rates;
  setText(head.counts.faults, faults ? formatNumber(faults) : "");
  view?.onState(next, isChanged);
  shown?.(next, isChanged);
}

function onLive(isLive) {
  head.live.classList.toggle("lost", !isLive);
  setText(head.liveText, t(isLive ? "live" : "lost"));
}

function showRefused() {
  document.body.replaceChildren(
    h("main", { class: "refused" }, h("h1", {}, t("noToken")), h("p", {}, t("noTokenHint"))),
  );
}

function switchTheme() {
  const root = document.documentElement;
  const isDark = getComputedStyle(root).getPropertyValue("--is-dark").trim() === "1";
  root.dataset.theme = isDark ? "light" : "dark";
  sessionStorage.setItem("theme", root.dataset.theme);
}

function switchLanguage() {
  chooseLanguage(currentLanguage() === "en" ? "ar" : "en");
  build();
  document.getElementById("language").focus();
}

function createNavigation() {
  head.counts = {};
  head.links = {};
  const items = Object.keys(VIEWS).map((name) => {
    head.counts[name] = h("span", { class: "badge" });
    head.links[name] = h("a", { href: `#${name}` }, icon(name), h("span", {}, t(name)), head.counts[name]);
    return h("li", {}, head.links[name]);
  });
  return h("nav", { "aria-label": t("views") }, h("ul", {}, items));
}

function createHeader() {
  head.live = h("span", { class: "live lost" });
  head.liveText = h("span", {}, t("lost"));
  head.live.append(h("span", { class: "dot" }), head.liveText);
  head.balance = h("strong", { dir: "ltr" }, "–");
  head.clock = h("strong", { dir: "ltr" }, "–");
  head.speed = h("bdi", { class: "tag" });
  const logo = h("img", { src: "icon.svg", alt: "", width: "32", height: "32" });
  return h(
    "header",
    {},
    h("div", { class: "brand" }, logo,
      h("div", {}, h("strong", {}, t("title")), h("small", {}, t("tagline")))),
    head.live,
    h("div", { class: "figures" },
      h("div", { class: "figure" }, h("small", {}, t("panelClock")), head.clock, head.speed),
      h("div", { class: "figure" }, h("small", {}, t("balance")), head.balance)),
    h("div", { class: "switches" },
      h("button", { type: "button", class: "quiet", "aria-label": t("theme"), onclick: switchTheme }, icon("theme")),
      h("button", { type: "button", class: "quiet", id: "language", title: t("languageHint"),
        lang: currentLanguage() === "en" ? "ar" : "en", onclick: switchLanguage }, t("language"))),
  );
}

function createDialog() {
  head.dialogTitle = h("h2", { id: "dialog-title" });
  head.dialogBody = h("div", { class: "body", tabindex: "0", role: "region", "aria-labelledby": "dialog-title" });
  const close = h("button", { type: "button", class: "quiet", "aria-label": t("close"), onclick: closeDialog }, icon("close"));
  head.dialog = h("dialog", { "aria-labelledby": "dialog-title",
    onclose: () => { shown = null; head.dialogBody.replaceChildren(); },
    onclick: (event) => { if (event.target === head.dialog) closeDialog(); } },
    h("div", { class: "top" }, head.dialogTitle, close), head.dialogBody);
  return head.dialog;
}

/** Build the whole page in its language. */
function build() {
  head = { notice: h("p", { class: "notice", role: "status" }) };
  const skip = h("a", { class: "skip", href: "#main", onclick: (event) => {
    event.preventDefault();
    head.main.focus();
  } }, t("skip"));
  head.main = h("main", { id: "main", tabindex: "-1" });
  document.title = t("title");
  document.body.replaceChildren(
    skip, createHeader(), h("div", { class: "frame" }, createNavigation(), head.main), head.notice, createDialog(),
  );
  showView();
  if (state !== null) {
    onState(state);
    onLive(true);
  }
}

function showView() {
  const wanted = location.hash.slice(1);
  const name = wanted in VIEWS ? wanted : "orders";
  if (head.dialog.open) closeDialog();
  for (const [each, link] of Object.entries(head.links)) {
    if (each === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  head.links[name].scrollIntoView({ block: "nearest", inline: "nearest" });
  view = VIEWS[name](context);
  const hint = t(`${name}Hint`, { count: formatNumber(state?.requests.max_kept ?? 0) });
  head.main.className = view.isList ? "list-view" : "";
  head.main.replaceChildren(
    h("div", { class: "title" }, h("h1", {}, t(name)), h("p", {}, hint)), ...view.elements,
  );
  if (state !== null) view.onState(state, true);
}

/** Show the view of the new address; one with a token was pasted, so everything begins again. */
function onAddress() {
  if (location.hash.includes("token=")) {
    takeToken();
    location.reload();
  } else if (head !== null) {
    showView();
  }
}

async function start() {
  addEventListener("hashchange", onAddress);
  chooseLanguage(firstLanguage());
  const theme = sessionStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  if (!takeToken()) return showRefused();
  try {
    state = await read("/state");
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return showRefused();
  }
  build();
  follow({ onState, onLive, onRefused: showRefused });
}

start();
