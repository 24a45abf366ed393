// The view of the requests, and one request whole.

import { h } from "./dom.js";
import { counter, VirtualList } from "./list.js";
import { afterTyping, formFacts, labelled, openOrder } from "./orders.js";
import { formatClock, formatMilliseconds, formatNumber, t } from "./text.js";

export function createTraffic(context) {
  const state = context.state();
  const action = h("select", { onchange: () => list.reset() }, h("option", { value: "" }, t("anyAction")),
    (state?.actions ?? []).map((value) => h("option", { value }, value)));
  const fault = h("select", { onchange: () => list.reset() }, h("option", { value: "" }, t("all")),
    h("option", { value: "any" }, t("anyFault")), h("option", { value: "none" }, t("noFault")));
  const text = h("input", { type: "search", autocomplete: "off", dir: "auto", oninput: afterTyping(() => list.reset()) });
  const count = counter();
  const filters = () => ({ action: action.value, fault: fault.value, text: text.value.trim() });
  const list = new VirtualList({
    label: t("traffic"),
    fetchRows: (offset, limit) => context.read("/requests", { ...filters(), offset, limit }),
    keyOf: (row) => row.number,
    describe: (row) => `${t("requestTitle", { number: row.number })}, ${row.action || t("noAction")}, ${answerMark(row)}${row.fault ? `, ${row.fault}` : ""}`,
    render: renderRequest,
    onOpen: (row) => openRequest(context, row.number),
    onTotal: (total) => count.set(t("rows", { count: formatNumber(total) })),
    onFailed: (error) => context.notify(t("failed", { text: error.message }), true),
    empty: () => Object.values(filters()).some(Boolean)
      ? [h("strong", {}, t("noMatch"))]
      : [h("strong", {}, t("noTraffic")), h("p", {}, t("noTrafficHint", { url: context.state()?.url }))],
  });
  const tools = h("div", { class: "tools" },
    labelled(t("action"), action), labelled(t("fault"), fault), labelled(t("searchTraffic"), text), count.element);
  return {
    isList: true,
    elements: [tools, list.element],
    onState(_state, isChanged) {
      if (isChanged) list.refresh();
    },
  };
}

function answerMark(row) {
  return row.http_status === null ? t("dropped") : String(row.http_status);
}

function renderRequest(row) {
  const kind = row.http_status === null ? "dropped" : row.http_status < 300 ? "fine" : "bad";
  const sent = Object.entries(row.fields).filter(([name]) => name !== "action" && !row.fields[name].startsWith("•••"));
  return [
    h("span", { class: "id", dir: "ltr" }, `${row.number}`),
    h("span", { class: "what" },
      h("bdi", { class: "name" }, row.action || t("noAction")),
      h("bdi", { class: "sub", dir: "ltr" }, sent.map(([name, value]) => `${name}=${value}`).join(" ") || "–")),
    h("span", { class: "mark", "data-answer": kind }, answerMark(row)),
    h("span", { class: "fault" }, row.fault ? h("span", { class: "tag fault" }, row.fault) : null),
    h("span", { class: "money", dir: "ltr" }, formatMilliseconds(row.duration_ms)),
    h("span", { class: "time", dir: "ltr" }, formatClock(row.at_s)),
  ];
}

/** Open the dialog with one request, its answer, and the command that sends it again. */
export async function openRequest(context, number) {
  let row;
  try {
    row = await context.read(`/requests/${number}`);
  } catch (error) {
    return context.notify(t("failed", { text: error.message }), true);
  }
  const facts = [
    h("span", { class: "mark", "data-answer": row.http_status === null ? "dropped" : row.http_status < 300 ? "fine" : "bad" },
      row.http_status === null ? t("dropped") : `HTTP ${row.http_status}`),
    h("span", { class: "tag" }, t(row.is_applied ? "applied" : "notApplied")),
    h("span", { class: "tag", dir: "ltr" }, formatMilliseconds(row.duration_ms)),
    row.fault ? h("span", { class: "tag fault" }, row.fault) : null,
  ].filter(Boolean);
  const made = row.order === null ? [] : [
    h("button", { type: "button", class: "link", onclick: () => openOrder(context, row.order) }, t("madeOrder", { order: row.order })),
  ];
  const answer = row.http_status === null
    ? h("p", { class: "hint" }, t("noAnswer"))
    : row.answer === "" ? h("p", { class: "hint" }, t("emptyAnswer")) : h("pre", { dir: "ltr", tabindex: "0", "aria-label": t("answer") }, row.answer);
  context.openDialog(t("requestTitle", { number }), [
    h("div", { class: "marks" }, facts), ...made,
    h("h3", {}, t("form")), h("dl", { class: "form" }, formFacts(row.fields)),
    h("h3", {}, t("answer")), answer,
    ...(row.is_cut ? [h("p", { class: "hint" }, t("isCut"))] : []),
    h("h3", {}, "curl"), h("pre", { dir: "ltr", tabindex: "0", "aria-label": "curl" }, row.curl),
    h("button", { type: "button", onclick: () => context.copy(row.curl) }, t("copyCurl")),
  ]);
}
