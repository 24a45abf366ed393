// The view of the services: search, and change what the panel offers.

import { h } from "./dom.js";
import { counter, VirtualList } from "./list.js";
import { afterTyping, labelled } from "./orders.js";
import { formatMoney, formatNumber, t } from "./text.js";

export function createServices(context) {
  const text = h("input", { type: "search", autocomplete: "off", dir: "auto", oninput: afterTyping(() => list.reset()) });
  const count = counter();
  const list = new VirtualList({
    label: t("services"),
    fetchRows: (offset, limit) => context.read("/services", { text: text.value.trim(), offset, limit }),
    keyOf: (row) => row.service,
    describe: (row) => `${t("serviceTitle", { service: row.service })}, ${row.name}, ${t(row.available ? "available" : "notAvailable")}`,
    render: renderService,
    onOpen: (row) => openService(context, row),
    onTotal: (total) => count.set(t("rows", { count: formatNumber(total) })),
    onFailed: (error) => context.notify(t("failed", { text: error.message }), true),
    empty: () => text.value.trim()
      ? [h("strong", {}, t("noMatch"))]
      : [h("strong", {}, t("noServices")), h("p", {}, t("noServicesHint"))],
  });
  return {
    isList: true,
    elements: [h("div", { class: "tools" }, labelled(t("searchServices"), text), count.element), list.element],
    onState(_state, isChanged) {
      if (isChanged) list.refresh();
    },
  };
}

function renderService(row) {
  return [
    h("span", { class: "id", dir: "ltr" }, row.service),
    h("span", { class: "what" }, h("bdi", { class: "name" }, row.name), h("bdi", { class: "sub" }, row.category)),
    h("span", { class: "mark", "data-answer": row.available ? "fine" : "dropped" }, t(row.available ? "available" : "notAvailable")),
    h("span", { class: "limits", dir: "ltr" }, `${formatNumber(row.min)} – ${formatNumber(row.max)}`),
    h("span", { class: "money", dir: "ltr" }, formatMoney(row.rate)),
    h("span", { class: "time" }, row.type),
  ];
}

function openService(context, row) {
  const rate = h("input", { type: "text", inputmode: "decimal", autocomplete: "off", dir: "ltr", value: row.rate, required: true });
  const min = h("input", { type: "number", min: "1", step: "1", value: row.min, required: true });
  const max = h("input", { type: "number", min: "1", step: "1", value: row.max, required: true });
  const available = h("input", { type: "checkbox", role: "switch", checked: row.available });
  const save = async (event) => {
    event.preventDefault();
    const { service } = row;
    const changes = [
      [rate.value.trim() !== row.rate, "change_rate", { service, rate: rate.value.trim() }],
      [Number(min.value) !== row.min || Number(max.value) !== row.max, "change_limits",
        { service, min: Number(min.value), max: Number(max.value) }],
      [available.checked !== row.available, "set_available", { service, available: available.checked }],
    ];
    for (const [isWanted, command, fields] of changes) {
      if (isWanted && !(await context.act(command, fields))) return;
    }
    context.closeDialog();
    context.notify(t("saved"));
  };
  context.openDialog(t("serviceTitle", { service: row.service }), [
    h("p", {}, h("strong", {}, h("bdi", {}, row.name))),
    h("p", { class: "hint" }, h("bdi", {}, row.category)),
    h("form", { class: "card", onsubmit: save },
      labelled(t("rate"), rate), labelled(t("min"), min), labelled(t("max"), max),
      h("label", { class: "check" }, available, h("span", {}, t("available"))),
      h("button", { type: "submit", class: "main" }, t("save"))),
  ]);
}
