// The language of the page, and how numbers, times and states are written.

import arabic from "./arabic.js";
import english from "./english.js";

const LANGUAGES = { en: { texts: english, dir: "ltr" }, ar: { texts: arabic, dir: "rtl" } };

let language = "en";

export function chooseLanguage(name) {
  language = name in LANGUAGES ? name : "en";
  document.documentElement.lang = language;
  document.documentElement.dir = LANGUAGES[language].dir;
  sessionStorage.setItem("language", language);
}

export function firstLanguage() {
  return sessionStorage.getItem("language") ?? (navigator.language.startsWith("ar") ? "ar" : "en");
}

export function currentLanguage() {
  return language;
}

/** Return a text in the page's language, with `{name}` replaced by values. */
export function t(key, values = {}) {
  const text = LANGUAGES[language].texts[key] ?? english[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export function formatNumber(number) {
  return new Intl.NumberFormat(language === "ar" ? "ar-u-nu-latn" : "en").format(number);
}

/** Write panel seconds as a clock: hours, minutes and seconds, with days in front. */
export function formatClock(seconds) {
  const whole = Math.floor(Math.abs(seconds));
  const [days, hours] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24];
  const parts = [hours, Math.floor(whole / 60) % 60, whole % 60];
  const clock = parts.map((part) => String(part).padStart(2, "0")).join(":");
  return `${seconds < 0 ? "−" : ""}${days ? `${formatNumber(days)}d ` : ""}${clock}`;
}

/** Write an exact amount with at least two decimals and without zeros after them. */
export function formatMoney(amount, currency) {
  const [whole, decimals = ""] = amount.split(".");
  const kept = decimals.replace(/0+$/, "").padEnd(2, "0");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return `${grouped}.${kept}${currency ? ` ${currency}` : ""}`;
}

export function formatMilliseconds(number) {
  return `${number < 10 ? number.toFixed(1) : formatNumber(Math.round(number))} ms`;
}
