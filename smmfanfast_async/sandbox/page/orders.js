// The view of the orders, and one order with its timeline.

import { h, paced, setText, svg } from "./dom.js";
import { counter, VirtualList } from "./list.js";
import { formatClock, formatMoney, formatNumber, t } from "./text.js";
import { openRequest } from "./traffic.js";

const STATUSES = [
  "pending", "processing", "in progress", "active", "completed", "partial", "canceled", "refunded", "expired",
];
const TYPING_MS = 250;

/** Return a mark with the name of a status; its colour only repeats what the text says. */
export function statusMark(status) {
  return h("span", { class: "mark", "data-status": status }, t(`status.${status}`));
}

function progressBar(share) {
  const bar = svg("rect", { width: `${share * 100}%`, height: "100%", rx: "3", class: "done" });
  return svg("svg", { class: "bar", "aria-hidden": "true" },
    svg("rect", { width: "100%", height: "100%", rx: "3", class: "rest" }), bar);
}

/** Return a field with its label. */
export function labelled(text, control, hint = null) {
  return h("label", { class: "field" }, h("span", {}, text), control, hint ? h("small", {}, hint) : null);
}

/** Call a function when a person stops typing. */
export function afterTyping(call) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(call, TYPING_MS);
  };
}

export function createOrders(context) {
  const status = h("select", { onchange: () => list.reset() },
    ["", "open", "final"].map((value) => h("option", { value }, t(value || "all"))),
    STATUSES.map((value) => h("option", { value }, t(`status.${value}`))));
  const typed = afterTyping(() => list.reset());
  const service = h("input", { type: "search", inputmode: "numeric", autocomplete: "off", oninput: typed });
  const link = h("input", { type: "search", autocomplete: "off", dir: "auto", placeholder: "https://", oninput: typed });
  const count = counter();
  const filters = () => ({ status: status.value, service: service.value.trim(), link: link.value.trim() });
  const list = new VirtualList({
    label: t("orders"),
    fetchRows: (offset, limit) => context.read("/orders", { ...filters(), offset, limit }),
    keyOf: (row) => row.order,
    describe: (row) => `${t("orderTitle", { order: row.order })}, ${t(`status.${row.status}`)}, ${row.service_name}`,
    render: renderOrder,
    onOpen: (row) => openOrder(context, row.order),
    onTotal: (total) => count.set(t("rows", { count: formatNumber(total) })),
    onFailed: (error) => context.notify(t("failed", { text: error.message }), true),
    empty: () => Object.values(filters()).some(Boolean)
      ? [h("strong", {}, t("noMatch"))]
      : [h("strong", {}, t("noOrders")), h("p", {}, t("noOrdersHint", { url: context.state()?.url }))],
  });
  const tools = h("div", { class: "tools" },
    labelled(t("status"), status), labelled(t("serviceId"), service), labelled(t("linkPart"), link), count.element);
  const seen = { speed: 0 };
  return {
    isList: true,
    elements: [tools, list.element],
    onState(state, isChanged) {
      // While the clock runs, orders progress without any request.
      if (isChanged || state.speed > 0 || seen.now !== state.now_s) list.refresh();
      seen.now = state.now_s;
    },
  };
}

function renderOrder(row) {
  const delivered = row.status === "partial" || row.status === "in progress"
    ? `${formatNumber(row.quantity - row.remains)} / ${formatNumber(row.quantity)}`
    : formatNumber(row.quantity);
  return [
    h("span", { class: "id", dir: "ltr" }, `#${row.order}`),
    h("span", { class: "what" },
      h("bdi", { class: "name" }, row.service_name), h("bdi", { class: "sub" }, row.link || "–")),
    statusMark(row.status),
    h("span", { class: "progress" }, progressBar(row.progress), h("span", { dir: "ltr" }, delivered)),
    h("span", { class: "money", dir: "ltr" }, formatMoney(row.charge)),
    h("span", { class: "time", dir: "ltr" }, formatClock(row.created_s)),
  ];
}

/** Open the dialog with one order; it follows the order while it is open. */
export async function openOrder(context, order) {
  const mark = h("span", {});
  const facts = h("dl", { class: "facts" });
  const timeline = h("ol", { class: "timeline" });
  const note = h("p", { class: "hint" });
  const fields = h("dl", { class: "form" });
  let shown = "";
  const refresh = async () => {
    let row;
    try {
      row = await context.read(`/orders/${encodeURIComponent(order)}`);
    } catch (error) {
      return context.notify(t("failed", { text: error.message }), true);
    }
    const text = JSON.stringify(row);
    if (text === shown) return;
    shown = text;
    mark.replaceChildren(statusMark(row.status));
    facts.replaceChildren(...orderFacts(context, row));
    fields.replaceChildren(...formFacts(row.fields));
    timeline.replaceChildren(...row.timeline.map((each) => timelineItem(context, each)));
    setText(note, row.earlier_requests ? t("earlier", { count: formatNumber(row.earlier_requests) }) : "");
  };
  await refresh();
  const again = paced(refresh);
  const onState = (state, isChanged) => {
    if (isChanged || state.speed > 0) again();
  };
  context.openDialog(t("orderTitle", { order }), [
    mark, facts,
    h("h3", {}, t("setStatus")), statusForm(context, order),
    h("h3", {}, t("timeline")), note, timeline,
    h("h3", {}, t("form")), fields,
  ], onState);
}

function statusForm(context, order) {
  const status = h("select", { onchange: () => { remains.parentElement.hidden = status.value !== "partial"; } },
    STATUSES.map((value) => h("option", { value }, t(`status.${value}`))));
  const remains = h("input", { type: "number", min: "0", step: "1", value: "0" });
  const remainsField = labelled(t("remains"), remains);
  remainsField.hidden = true;
  status.value = "completed";
  return h("form", { class: "inline", onsubmit: (event) => {
    event.preventDefault();
    const fields = { order, status: status.value };
    if (status.value === "partial") fields.remains = Number(remains.value);
    context.act("set_status", fields, t("saved"));
  } }, labelled(t("status"), status), remainsField, h("button", { type: "submit" }, t("setStatus")));
}

function orderFacts(context, row) {
  const facts = [
    [t("service"), `${row.service} · ${row.service_name}`], [t("link"), row.link || "–"],
    [t("type"), row.type], [t("quantity"), formatNumber(row.quantity)],
    [t("remains"), formatNumber(row.remains)], [t("startCount"), formatNumber(row.start_count)],
    [t("price"), formatMoney(row.price)], [t("charge"), formatMoney(row.charge)],
    [t("created"), formatClock(row.created_s)],
  ];
  if (row.refills.length) facts.push([t("refills"), row.refills.map((each) => `${each.refill}: ${each.status}`).join(", ")]);
  const items = facts.map(([name, value], index) => h("div", { class: index < 2 ? "wide" : null }, h("dt", {}, name), h("dd", {}, h("bdi", {}, value))));
  const orders = row.parent === null ? row.orders : [row.parent];
  if (orders.length) {
    const links = orders.slice(0, 50).map((each) => h("button", { type: "button", class: "link", onclick: () => openOrder(context, each) }, `#${each}`));
    items.push(h("div", {}, h("dt", {}, t(row.parent === null ? "children" : "parent")), h("dd", {}, links)));
  }
  return items;
}

/** Return the fields of a form as a list of names and values. */
export function formFacts(fields) {
  return Object.entries(fields).map(([name, value]) =>
    h("div", {}, h("dt", {}, h("bdi", {}, name)), h("dd", {}, h("bdi", {}, value))));
}

function timelineItem(context, each) {
  const at = h("time", { dir: "ltr" }, formatClock(each.at_s));
  if (each.kind === "state") return h("li", { class: "state" }, at, statusMark(each.status));
  const status = each.http_status === null ? t("dropped") : `HTTP ${each.http_status}`;
  return h("li", { class: "request" }, at,
    h("span", { class: "line" },
      h("button", { type: "button", class: "link", onclick: () => openRequest(context, each.number) },
        `${t("showRequest", { number: each.number })} · ${each.action || t("noAction")}`),
      h("span", { class: "tag" }, status),
      each.fault ? h("span", { class: "tag fault" }, each.fault) : null),
    each.answer ? h("code", { dir: "ltr" }, each.answer) : null);
}
