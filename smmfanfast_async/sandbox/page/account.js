// The view of the account: its balance, and a chart of what was spent and what came back.

import { h, paced, setText, svg } from "./dom.js";
import { labelled } from "./orders.js";
import { formatClock, formatMoney, t } from "./text.js";

const WIDTH = 720;
const HEIGHT = 220;
const LEFT = 64;
const BOTTOM = 24;

export function createAccount(context) {
  const balance = h("output", { class: "big", dir: "ltr", "aria-label": t("balance") });
  const sums = Object.fromEntries(["spent", "refunded", "added"].map((name) => [name, h("dd", { dir: "ltr" })]));
  const amount = h("input", { type: "text", inputmode: "decimal", autocomplete: "off", dir: "ltr", value: "100", required: true });
  const chart = h("div", { class: "chart" });
  const table = h("tbody", {});
  let shown = "";
  const load = async () => {
    let account;
    try {
      account = await context.read("/account");
    } catch (error) {
      return context.notify(t("failed", { text: error.message }), true);
    }
    setText(balance, formatMoney(account.balance, account.currency));
    for (const [name, element] of Object.entries(sums)) setText(element, formatMoney(account[name], account.currency));
    const text = JSON.stringify(account.steps);
    if (text === shown) return;
    shown = text;
    chart.replaceChildren(account.steps.length ? drawChart(account) : h("p", { class: "hint" }, t("noMoney")));
    table.replaceChildren(...account.steps.map((step) => h("tr", {},
      h("th", { scope: "row", dir: "ltr" }, formatClock(step.at_s)),
      ["spent", "refunded", "added"].map((name) => h("td", { dir: "ltr" }, formatMoney(step[name]))))));
  };
  const refresh = paced(load);
  const submit = (event) => {
    event.preventDefault();
    context.act("top_up", { amount: amount.value.trim() }, t("toppedUp"));
  };
  let last = 0;
  return {
    elements: [
      h("div", { class: "columns" },
        h("section", { class: "card" }, h("h2", {}, t("balance")), balance,
          h("dl", { class: "facts" }, Object.entries(sums).map(([name, element]) =>
            h("div", {}, h("dt", { class: `key ${name}` }, t(name)), element)))),
        h("form", { class: "card", onsubmit: submit }, h("h2", {}, t("topUp")),
          labelled(t("amount"), amount, t("amountHint")),
          h("button", { type: "submit", class: "main" }, t("topUp")))),
      h("section", { class: "card" }, h("h2", {}, t("chart")), chart,
        h("details", {}, h("summary", {}, t("asTable")),
          h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("asTable") },
            h("table", {}, h("thead", {}, h("tr", {}, ["time", "spent", "refunded", "added"].map((name) =>
              h("th", { scope: "col" }, t(name))))), table)))),
    ],
    onState(state, isChanged) {
      const money = `${state.balance} ${state.spent} ${state.refunded}`;
      if (isChanged || money !== last) refresh();
      last = money;
    },
  };
}

function drawChart(account) {
  const from = Math.min(account.steps[0].at_s, 0);
  const until = Math.max(account.now_s, account.steps.at(-1).at_s) + account.step_s;
  const most = Math.max(...account.steps.flatMap((step) => [Number(step.spent), Number(step.refunded)]), 0.0001);
  const x = (at) => LEFT + ((at - from) / (until - from)) * (WIDTH - LEFT);
  const height = (value) => (Number(value) / most) * (HEIGHT - BOTTOM - 12);
  const bar = Math.max((x(from + account.step_s) - x(from)) / 2, 3);
  const base = HEIGHT - BOTTOM;
  const bars = account.steps.flatMap((step) => ["spent", "refunded"].map((name, index) => {
    const tall = height(step[name]);
    return svg("rect", { class: name, x: x(step.at_s) + index * bar, y: base - tall, width: bar, height: tall, rx: 1 });
  }));
  const label = (left, top, text, anchor) => svg("text", { x: left, y: top, "text-anchor": anchor }, text);
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": t("chart") },
    svg("line", { class: "axis", x1: LEFT, y1: base, x2: WIDTH, y2: base }),
    svg("line", { class: "grid", x1: LEFT, y1: 12, x2: WIDTH, y2: 12 }),
    bars,
    label(LEFT - 8, 16, formatMoney(most.toFixed(4)), "end"), label(LEFT - 8, base, formatMoney("0"), "end"),
    label(LEFT, HEIGHT - 6, formatClock(from), "start"), label(WIDTH, HEIGHT - 6, formatClock(until), "end"));
}
