// Two photos side by side: one zoom and one place for both, kept when another photo is chosen. Heat maps on and off.
const state = { zoom: 1, x: 0, y: 0 };
const dialog = document.getElementById("viewer");
const panes = dialog ? [...dialog.querySelectorAll(".pane")] : [];
const frames = () => [...document.querySelectorAll("a.frame[data-photo]")];

function place(change = {}) {
  Object.assign(state, change);
  state.zoom = Math.min(12, Math.max(1, state.zoom));
  for (const pane of panes) {
    pane.firstElementChild.style.transform = `translate(${state.x}px, ${state.y}px) scale(${state.zoom})`;
  }
}

/** The lens is as large as the photo is shown, so that the heat map lies on the photo and not on the pane. */
function fit(pane) {
  const [lens, image] = [pane.firstElementChild, pane.querySelector("img")];
  const scale = Math.min(pane.clientWidth / image.naturalWidth, pane.clientHeight / image.naturalHeight);
  if (!Number.isFinite(scale)) return;
  lens.style.width = `${image.naturalWidth * scale}px`;
  lens.style.height = `${image.naturalHeight * scale}px`;
}

function choose(select, pane, wanted) {
  select.replaceChildren(
    ...frames().map((frame) => new Option(frame.querySelector("img").alt, frame.dataset.photo, false, frame === wanted)),
  );
  select.onchange = () => {
    const frame = frames().find((one) => one.dataset.photo === select.value);
    const image = pane.querySelector("img");
    pane.querySelector(".heat")?.remove();
    pane.firstElementChild.dataset.heat = frame.dataset.heat ?? "";
    image.onload = () => fit(pane);
    image.src = frame.href;
    image.alt = frame.querySelector("img").alt;
    renew();
  };
  select.onchange();
}

/** Open the viewer; `shown`, a frame that was clicked, is on its own side. */
export function openViewer(shown) {
  if (!dialog || !frames().length) return;
  if (dialog.open) return dialog.close();
  const of = (side) => (shown?.dataset.side === side ? shown : frames().find((frame) => frame.dataset.side === side));
  dialog.showModal();
  choose(document.getElementById("left-photo"), panes[0], of("listing") ?? frames()[0]);
  choose(document.getElementById("right-photo"), panes[1], of("filed") ?? frames().at(-1));
  place();
  panes[0].focus();
}

const moves = {
  ArrowLeft: () => ({ x: state.x + 40 }),
  ArrowRight: () => ({ x: state.x - 40 }),
  ArrowUp: () => ({ y: state.y + 40 }),
  ArrowDown: () => ({ y: state.y - 40 }),
  Equal: () => ({ zoom: state.zoom * 1.2 }),
  NumpadAdd: () => ({ zoom: state.zoom * 1.2 }),
  Minus: () => ({ zoom: state.zoom / 1.2 }),
  NumpadSubtract: () => ({ zoom: state.zoom / 1.2 }),
  Digit0: () => ({ zoom: 1, x: 0, y: 0 }),
};

if (dialog) {
  for (const pane of panes) {
    pane.addEventListener("wheel", (event) => {
      event.preventDefault();
      place({ zoom: state.zoom * (event.deltaY < 0 ? 1.2 : 1 / 1.2) });
    }, { passive: false });
    pane.addEventListener("pointerdown", (event) => pane.setPointerCapture(event.pointerId));
    pane.addEventListener("pointermove", (event) => {
      if (event.buttons) place({ x: state.x + event.movementX, y: state.y + event.movementY });
    });
    new ResizeObserver(() => fit(pane)).observe(pane);
  }
  dialog.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229 || event.target.tagName === "SELECT" || !moves[event.code]) return;
    event.preventDefault();
    place(moves[event.code]());
  });
  dialog.addEventListener("click", (event) => {
    const button = event.target.closest("[data-viewer]");
    if (button?.dataset.viewer === "close") dialog.close();
    if (button?.dataset.viewer === "reset") place(moves.Digit0());
  });
}

/** Photos are shown as they are until the heat map is asked for; then it stays on until it is switched off. */
export function prepareHeat() {
  document.body.classList.toggle("with-heat", sessionStorage.getItem("heat") === "on");
  renew();
}

export function toggleHeat() {
  sessionStorage.setItem("heat", document.body.classList.contains("with-heat") ? "off" : "on");
  prepareHeat();
}

function renew() {
  const on = document.body.classList.contains("with-heat");
  for (const frame of on ? document.querySelectorAll("[data-heat]:not([data-heat=''])") : []) {
    if (frame.querySelector(".heat")) continue;
    const image = Object.assign(document.createElement("img"), { className: "heat", alt: "", draggable: false });
    image.onerror = () => image.remove();
    image.src = frame.dataset.heat;
    frame.append(image);
  }
  for (const button of document.querySelectorAll("[data-action=heat]")) button.setAttribute("aria-pressed", String(on));
}
