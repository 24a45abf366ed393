// The view of the panel's clock.

import { h, setText } from "./dom.js";
import { labelled } from "./orders.js";
import { formatClock, formatNumber, t } from "./text.js";

const SPEEDS = [0, 1, 60, 600, 3600];
const STEPS = [["minutes1", 60], ["minutes10", 600], ["hours1", 3600], ["hours6", 21600], ["days1", 86400]];

export function createClock(context) {
  const now = h("output", { class: "big", dir: "ltr", "aria-label": t("panelClock") });
  const speeds = SPEEDS.map((speed) => h("button", { type: "button", "data-speed": speed,
    onclick: () => context.act("set_speed", { speed }) }, speed ? t("speedShort", { speed: formatNumber(speed) }) : t("stop")));
  const speed = h("input", { type: "number", min: "0", step: "any", value: "60", required: true });
  const seconds = h("input", { type: "number", min: "0", step: "any", value: "90", required: true });
  const advance = (value) => context.act("advance", { seconds: value }, t("advanced"));
  const submit = (call) => (event) => {
    event.preventDefault();
    call();
  };
  return {
    elements: [
      h("section", { class: "card center" }, now),
      h("div", { class: "columns" },
        h("section", { class: "card" }, h("h2", {}, t("speed")), h("p", { class: "hint" }, t("speedHint")),
          h("div", { class: "buttons" }, speeds),
          h("form", { class: "inline", onsubmit: submit(() => context.act("set_speed", { speed: Number(speed.value) }, t("saved"))) },
            labelled(t("speed"), speed), h("button", { type: "submit" }, t("setSpeed")))),
        h("section", { class: "card" }, h("h2", {}, t("step")),
          h("div", { class: "buttons" }, STEPS.map(([name, value]) =>
            h("button", { type: "button", onclick: () => advance(value) }, `+ ${t(name)}`))),
          h("form", { class: "inline", onsubmit: submit(() => advance(Number(seconds.value))) },
            labelled(t("seconds"), seconds), h("button", { type: "submit" }, t("advance"))))),
      h("section", { class: "card" },
        h("p", {}, t("finishAllHint")),
        h("button", { type: "button", class: "main", onclick: () => context.act("finish_all", {}, t("advanced")) }, t("finishAll"))),
    ],
    onState(state) {
      setText(now, formatClock(state.now_s));
      for (const button of speeds) {
        button.setAttribute("aria-pressed", String(Number(button.dataset.speed) === state.speed));
      }
    },
  };
}
