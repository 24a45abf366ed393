// The view of the faults: switch them on, and see which are left.

import { h, paced } from "./dom.js";
import { labelled } from "./orders.js";
import { formatNumber, t } from "./text.js";

const SHOWN_FAULTS = 50;

export function createFaults(context) {
  const fault = h("select", { onchange: () => update() });
  const action = h("select", {}, h("option", { value: "" }, t("anyAction")),
    (context.state()?.actions ?? []).map((value) => h("option", { value }, value)));
  const isNext = h("input", { type: "radio", name: "how", value: "next", checked: true, onchange: () => update() });
  const isRate = h("input", { type: "radio", name: "how", value: "rate", onchange: () => update() });
  const times = labelled(t("times"), h("input", { type: "number", min: "1", step: "1", value: "1", required: true }));
  const rate = labelled(t("ratePercent"), h("input", { type: "number", min: "0", max: "100", step: "any", value: "10", required: true }));
  const delay = labelled(t("delay"), h("input", { type: "number", min: "0", step: "any", value: "1", required: true }));
  const retryAfter = labelled(t("retryAfter"), h("input", { type: "number", min: "0", step: "1", value: "1", required: true }));
  const number = (field) => Number(field.querySelector("input").value);
  const update = () => {
    times.hidden = !isNext.checked;
    rate.hidden = !isRate.checked;
    delay.hidden = fault.value !== "delay";
    retryAfter.hidden = fault.value !== "rate_limit";
    // A hidden field must not stop the form.
    for (const field of [times, rate, delay, retryAfter]) field.querySelector("input").disabled = field.hidden;
  };
  const submit = (event) => {
    event.preventDefault();
    const fields = { fault: fault.value, action: action.value || null };
    if (fault.value === "delay") fields.delay_s = number(delay);
    if (fault.value === "rate_limit") fields.retry_after_s = number(retryAfter);
    if (isNext.checked) context.act("fail_next", { ...fields, times: number(times) }, t("switchedOn"));
    else context.act("fail_at_rate", { ...fields, rate: number(rate) / 100 }, t("switchedOn"));
  };
  const form = h("form", { class: "card", onsubmit: submit },
    h("h2", {}, t("addFault")),
    labelled(t("fault"), fault), labelled(t("action"), action),
    h("fieldset", {}, h("legend", {}, t("howOften")),
      h("label", { class: "check" }, isNext, h("span", {}, t("nextRequests"))),
      h("label", { class: "check" }, isRate, h("span", {}, t("atRate")))),
    times, rate, delay, retryAfter,
    h("button", { type: "submit", class: "main" }, t("switchOn")));
  const current = h("ul", { class: "faults" });
  const clear = h("button", { type: "button", class: "danger", onclick: () => context.act("clear_faults", {}, t("cleared")) }, t("clearFaults"));
  const load = async () => {
    let found;
    try {
      found = await context.read("/faults", { limit: SHOWN_FAULTS });
    } catch (error) {
      return context.notify(t("failed", { text: error.message }), true);
    }
    if (!fault.options.length) {
      fault.append(...found.known.map((each) => h("option", { value: each.fault }, `${each.fault} – ${t(`fault.${each.fault}`)}`)));
      fault.value = "drop_after";
      update();
    }
    const items = [
      ...found.rows.map((each) => faultItem(each, t("left", { count: formatNumber(each.times) }))),
      ...found.rates.map((each) => faultItem(each, t("percent", { count: formatNumber(each.rate * 100) }))),
    ];
    const more = found.total - found.rows.length;
    if (more > 0) items.push(h("li", {}, t("moreFaults", { count: formatNumber(more) })));
    clear.hidden = items.length === 0;
    current.replaceChildren(...(items.length ? items : [h("li", { class: "hint" }, t("noFaults"))]));
  };
  const refresh = paced(load);
  return {
    elements: [h("div", { class: "columns" }, form,
      h("section", { class: "card" }, h("h2", {}, t("active")), current, clear))],
    onState(_state, isChanged) {
      if (isChanged) refresh();
    },
  };
}

function faultItem(each, howOften) {
  return h("li", {},
    h("span", { class: "what" }, h("strong", { dir: "ltr" }, each.fault), h("small", {}, t(`fault.${each.fault}`))),
    h("span", { class: "tag", dir: "ltr" }, each.action ?? t("anyAction")),
    h("span", { class: "tag fault" }, howOften));
}
