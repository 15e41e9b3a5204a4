// Two photos side by side: one zoom and one place for both, kept when another photo is chosen. Heat maps on and off.
const state = { zoom: 1, x: 0, y: 0 };
const dialog = document.getElementById("viewer");
const panes = dialog ? [...dialog.querySelectorAll(".pane")] : [];

function place() {
  for (const pane of panes) {
    const image = pane.querySelector("img");
    image.style.transform = `translate(${state.x}px, ${state.y}px) scale(${state.zoom})`;
  }
}

function fill(select, wanted) {
  const frames = [...document.querySelectorAll("a.frame[data-photo]")];
  select.replaceChildren(
    ...frames.map((frame) => {
      const option = document.createElement("option");
      option.value = frame.getAttribute("href");
      option.textContent = frame.querySelector("img").alt;
      option.selected = frame === wanted;
      return option;
    }),
  );
}

export function openViewer() {
  if (!dialog || dialog.open) return;
  const frames = [...document.querySelectorAll("a.frame[data-photo]")];
  if (!frames.length) return;
  const left = frames.find((frame) => frame.dataset.side === "listing") ?? frames[0];
  const right = frames.find((frame) => frame.dataset.side === "filed") ?? frames.at(-1);
  const selects = [document.getElementById("left-photo"), document.getElementById("right-photo")];
  fill(selects[0], left);
  fill(selects[1], right);
  selects.forEach((select, n) => {
    const show = () => {
      const image = panes[n].querySelector("img");
      image.src = select.value;
      image.alt = select.selectedOptions[0]?.textContent ?? "";
    };
    select.onchange = show;
    show();
  });
  place();
  dialog.showModal();
  panes[0].focus();
}

if (dialog) {
  dialog.addEventListener("wheel", (event) => {
    event.preventDefault();
    state.zoom = Math.min(12, Math.max(1, state.zoom * (event.deltaY < 0 ? 1.2 : 1 / 1.2)));
    place();
  }, { passive: false });
  for (const pane of panes) {
    pane.addEventListener("pointerdown", (event) => pane.setPointerCapture(event.pointerId));
    pane.addEventListener("pointermove", (event) => {
      if (!event.buttons) return;
      state.x += event.movementX;
      state.y += event.movementY;
      place();
    });
  }
  dialog.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229 || event.target.tagName === "SELECT") return;
    const moves = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
    if (moves[event.code]) [state.x, state.y] = [state.x + moves[event.code][0], state.y + moves[event.code][1]];
    else if (event.code === "Equal" || event.code === "NumpadAdd") state.zoom = Math.min(12, state.zoom * 1.2);
    else if (event.code === "Minus" || event.code === "NumpadSubtract") state.zoom = Math.max(1, state.zoom / 1.2);
    else if (event.code === "Digit0") Object.assign(state, { zoom: 1, x: 0, y: 0 });
    else return;
    event.preventDefault();
    place();
  });
  dialog.addEventListener("click", (event) => {
    const button = event.target.closest("[data-viewer]");
    if (button?.dataset.viewer === "close") dialog.close();
    if (button?.dataset.viewer === "reset") {
      Object.assign(state, { zoom: 1, x: 0, y: 0 });
      place();
    }
  });
}

export function prepareHeat() {
  document.body.classList.toggle("no-heat", sessionStorage.getItem("heat") === "off");
  renew();
}

export function toggleHeat() {
  const off = document.body.classList.toggle("no-heat");
  sessionStorage.setItem("heat", off ? "off" : "on");
  renew();
}

function renew() {
  const off = document.body.classList.contains("no-heat");
  for (const frame of off ? [] : document.querySelectorAll("a.frame[data-heat]")) {
    if (frame.querySelector(".heat")) continue;
    const image = Object.assign(document.createElement("img"), { className: "heat", alt: "", loading: "lazy" });
    image.onerror = () => image.remove();
    image.src = frame.dataset.heat;
    frame.append(image);
  }
  document.querySelector("[data-action=heat]")?.setAttribute("aria-pressed", String(!off));
}
