// Corrections without leaving the page: what the machine misread or missed, sent and shown where it belongs.
// The labeler adds a label to a message; the drawer marks damage on a photo, by one drag or by arrow keys.
import { prepareHeat } from "./viewer.js";

const SHOWN = "[id^='why-'], [id^='m-'], figure[id^='p-']";
const labeler = document.getElementById("labeler");
const drawer = document.getElementById("drawer");
const stage = drawer?.querySelector(".stage");
let region = null;
let from = null;

async function send(form, button, shown) {
  const body = new URLSearchParams(new FormData(form));
  if (button?.name) body.set(button.name, button.value);
  const answer = await fetch(form.action, { method: "POST", body }).catch(() => null);
  const page = new DOMParser().parseFromString((await answer?.text()) ?? "", "text/html");
  if (!answer?.ok) {
    const live = document.getElementById("live");
    live.textContent = page.querySelector("p.notice")?.textContent ?? live.dataset.failed;
    live.hidden = false;
    return;
  }
  for (const id of shown) {
    const now = page.getElementById(id);
    if (now) document.getElementById(id)?.replaceWith(document.adoptNode(now));
  }
  prepareHeat();
  document.getElementById(shown[0])?.focus();
}

function prepareForms() {
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form.correct");
    if (!form) return;
    event.preventDefault();
    const ref = form.elements.ref?.value;
    send(form, event.submitter, [form.closest(SHOWN)?.id, ref && `p-${ref}`].filter(Boolean));
  });
}

function prepareDialog(dialog, accepts) {
  dialog.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229 || event.ctrlKey || event.metaKey || event.altKey) return;
    const button = [...dialog.querySelectorAll("[data-dialog-code]")].find(
      (one) => one.dataset.dialogCode === event.code && one.offsetParent,
    );
    if (!button || (event.code === "Enter" && event.target.tagName === "BUTTON")) return;
    event.preventDefault();
    event.stopPropagation();
    button.click();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target.closest("[data-closes]")) dialog.close();
  });
  dialog.addEventListener("close", () => from?.focus());
  dialog.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    accepts(event.submitter);
  });
}

function finish(dialog, button) {
  const form = dialog.querySelector("form");
  const shown = [from.id];
  dialog.close();
  send(form, button, shown);
}

export function openLabeler() {
  const message = document.activeElement?.closest("[data-speaker]");
  if (!labeler || !message?.querySelector("[data-labels]")) return;
  from = message;
  labeler.querySelector("[name=ref]").value = message.dataset.ref;
  labeler.querySelector("blockquote").textContent = message.querySelector("p").textContent;
  for (const group of labeler.querySelectorAll("[data-for]")) group.hidden = group.dataset.for !== message.dataset.speaker;
  labeler.showModal();
}

export function openDrawer() {
  const figure = document.activeElement?.closest("figure[data-ref]");
  const frame = figure?.querySelector("a.frame[data-width]");
  if (!drawer || !frame) return;
  from = figure;
  const [width, height] = [Number(frame.dataset.width), Number(frame.dataset.height)];
  drawer.querySelector("[name=ref]").value = figure.dataset.ref;
  drawer.querySelector("[data-photo-name]").textContent = frame.querySelector("img").alt;
  stage.querySelector("img").src = frame.href;
  stage.style.aspectRatio = `${width} / ${height}`;
  stage.style.width = `min(100%, calc(62vh * ${width} / ${height}))`;
  stage.querySelector("svg").setAttribute("viewBox", `0 0 ${width} ${height}`);
  const known = [...frame.querySelectorAll("rect")].at(-1);
  const read = (name) => Number(known.getAttribute(name));
  region = known
    ? [read("x"), read("y"), read("x") + read("width"), read("y") + read("height")]
    : [width / 3, height / 3, (2 * width) / 3, (2 * height) / 3];
  region.size = [width, height];
  show();
  drawer.showModal();
  stage.focus();
}

function show() {
  const rect = stage.querySelector("rect");
  const [x0, y0, x1, y1] = region;
  for (const [name, value] of Object.entries({ x: x0, y: y0, width: x1 - x0, height: y1 - y0 })) rect.setAttribute(name, value);
  drawer.querySelector("[name=region]").value = region.map(Math.round).join(",");
}

function within(value, most) {
  return Math.min(most, Math.max(0, value));
}

function frameBetween([ax, ay], [bx, by]) {
  const [width, height] = region.size;
  const [x0, x1] = [within(Math.min(ax, bx), width - 1), within(Math.max(ax, bx), width)];
  const [y0, y1] = [within(Math.min(ay, by), height - 1), within(Math.max(ay, by), height)];
  region.splice(0, 4, x0, y0, Math.max(x1, x0 + 1), Math.max(y1, y0 + 1));
  show();
}

function place(event) {
  const box = stage.getBoundingClientRect();
  const [width, height] = region.size;
  return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
}

function prepareStage() {
  let start = null;
  stage.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    stage.setPointerCapture(event.pointerId);
    start = place(event);
  });
  stage.addEventListener("pointermove", (event) => start && frameBetween(start, place(event)));
  stage.addEventListener("pointerup", (event) => {
    const [width, height] = region.size;
    const isDrag = start && Math.hypot(place(event)[0] - start[0], place(event)[1] - start[1]) > (width + height) / 100;
    start = null;
    if (isDrag) drawer.querySelector("[data-dialog-code=Enter]").click();
  });
  stage.addEventListener("pointercancel", () => (start = null));
  stage.addEventListener("keydown", (event) => {
    const [width, height] = region.size;
    const [dx, dy] = [width / 50, height / 50];
    const by = { ArrowLeft: [-dx, 0], ArrowRight: [dx, 0], ArrowUp: [0, -dy], ArrowDown: [0, dy] }[event.code];
    if (!by || event.isComposing) return;
    event.preventDefault();
    const [x0, y0, x1, y1] = region;
    if (event.shiftKey) frameBetween([x0, y0], [Math.max(x0 + 1, x1 + by[0]), Math.max(y0 + 1, y1 + by[1])]);
    else {
      const moved = [within(x0 + by[0], width - (x1 - x0)), within(y0 + by[1], height - (y1 - y0))];
      frameBetween(moved, [moved[0] + x1 - x0, moved[1] + y1 - y0]);
    }
  });
}

export function prepareCorrections() {
  prepareForms();
  if (!labeler || !drawer) return;
  prepareDialog(labeler, (button) => finish(labeler, button));
  prepareDialog(drawer, (button) => {
    if ("whole" in (button?.dataset ?? {})) drawer.querySelector("[name=region]").value = "";
    finish(drawer, button);
  });
  prepareStage();
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-labels], [data-draws]");
    if (!opener) return;
    opener.closest(SHOWN).focus();
    if ("labels" in opener.dataset) openLabeler();
    else openDrawer();
  });
}
