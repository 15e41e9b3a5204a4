// The desk's page: keys, live state, photo viewer, labels and regions. Reading and deciding work without it, by plain forms.
import { listen } from "./keys.js";
import { readLocally } from "./times.js";
import { keepPlaces } from "./places.js";
import { watch } from "./watch.js";
import { openViewer, prepareHeat, toggleHeat } from "./viewer.js";
import { openDrawer, openLabeler, prepareCorrections } from "./corrections.js";

let piece = -1;
let cameFrom = null;

const pieces = () => [...document.querySelectorAll(".piece")];

function step(by) {
  const all = pieces();
  if (!all.length) return;
  piece = (piece + by + all.length) % all.length;
  all[piece].focus();
}

function walk(by) {
  const all = [...document.querySelectorAll("figure[data-ref], [data-speaker]")];
  const at = all.indexOf(document.activeElement?.closest("figure[data-ref], [data-speaker]"));
  const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : (at + by + all.length) % all.length];
  next?.focus({ preventScroll: true });
  next?.scrollIntoView({ block: "center" });
}

function openPiece() {
  const from = document.activeElement?.closest(".piece") ?? pieces()[piece];
  const link = from?.querySelector("a[href^='#']");
  if (!link) return;
  cameFrom = from;
  link.click();
  document.getElementById(decodeURIComponent(link.hash.slice(1)))?.focus({ preventScroll: true });
}

function goBack() {
  if (!cameFrom) return;
  history.replaceState(null, "", location.pathname + location.search);
  cameFrom.scrollIntoView({ block: "center" });
  cameFrom.focus();
}

function correctPiece() {
  const at = document.activeElement?.closest(".piece") ?? pieces()[piece];
  at?.querySelector(".correct button")?.click();
}

const actions = {
  "piece.next": () => step(1),
  "piece.previous": () => step(-1),
  "piece.open": openPiece,
  "piece.back": goBack,
  "evidence.next": () => walk(1),
  "evidence.previous": () => walk(-1),
  correct: correctPiece,
  label: openLabeler,
  region: openDrawer,
  viewer: () => openViewer(),
  heat: toggleHeat,
  reload: () => document.querySelector("#live a")?.click(),
  help: () => document.getElementById("help")?.toggleAttribute("open"),
  skip: () => document.querySelector("details.aside")?.toggleAttribute("open"),
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-action]");
  if (button && button.tagName === "BUTTON" && button.type === "button") actions[button.dataset.action]?.();
  const link = event.target.closest("main a[href^='#']");
  if (link) cameFrom = link.closest("[tabindex]");
  const frame = event.target.closest("a.frame[data-photo]");
  if (frame && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    openViewer(frame);
  }
});

const pops = [...document.querySelectorAll("details.pop")];
for (const pop of pops) {
  pop.addEventListener("toggle", () => {
    if (!pop.open) return;
    for (const other of pops) other.open = other === pop;
    pop.querySelector("input[name=reason]")?.focus();
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing || event.keyCode === 229) return;
  for (const pop of pops) pop.open = false;
});

for (const form of document.querySelectorAll("form.decide")) {
  form.addEventListener("submit", (event) => {
    const unready = document.getElementById("unready");
    const given = form.elements.reason.value || form.elements.note.value.trim();
    if ("reasonRequired" in form.dataset && !given) {
      unready.textContent = unready.dataset.words;
      event.preventDefault();
    } else if (form.dataset.sent) event.preventDefault();
    else form.dataset.sent = "1";
  });
  form.addEventListener("change", () => (document.getElementById("unready").textContent = ""));
}

for (const field of document.querySelectorAll("[data-captures-key]")) {
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229 || event.key === "Tab" || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    field.value = event.code;
  });
}

/** Begin at the evidence, so that arrows and Page Down scroll it at once. */
function arrive(evidence) {
  if (!evidence || document.activeElement !== document.body) return;
  evidence.classList.add("arrived");
  evidence.addEventListener("blur", () => evidence.classList.remove("arrived"), { once: true });
  evidence.focus({ preventScroll: true });
}

listen(actions);
prepareHeat();
prepareCorrections();
keepPlaces();
readLocally();
arrive(document.getElementById("evidence"));
watch(document.getElementById("live"));
