// The view with everything that happened, as a pytest test.

import { h, paced, setText } from "./dom.js";
import { formatNumber, t } from "./text.js";

export function createRecord(context) {
  const text = h("pre", { dir: "ltr", tabindex: "0", "aria-label": t("record"), id: "test-text" });
  const note = h("p", { class: "hint" });
  const load = async () => {
    try {
      const test = await context.read("/test");
      setText(text, test.text);
      setText(note, t(test.is_complete ? "testComplete" : "testIncomplete", { count: formatNumber(test.steps) }));
    } catch (error) {
      context.notify(t("failed", { text: error.message }), true);
    }
  };
  const refresh = paced(load);
  const copyNow = async () => {
    await load();
    context.copy(text.textContent);
  };
  return {
    elements: [h("section", { class: "card" }, note,
      h("div", { class: "buttons" }, h("button", { type: "button", class: "main", onclick: copyNow }, t("copyTest"))), text)],
    onState(_state, isChanged) {
      if (isChanged) refresh();
    },
  };
}
