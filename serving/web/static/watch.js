// Tells an open case page at once of new evidence, a decision or somebody else's hold; keeps one's own hold alive.
import { stateOf } from "./state.js";

const LOOK_MS = 3000;
const HOLD_MS = 240000;

export function watch(box) {
  if (!box?.dataset.state) return;
  const token = document.querySelector("input[name=csrf_token]")?.value ?? "";
  const say = (text, link) => {
    if (box.textContent.startsWith(text)) return;
    box.textContent = text + " ";
    if (link) {
      const anchor = document.createElement("a");
      anchor.href = link;
      anchor.textContent = box.dataset.see;
      box.append(anchor);
    }
    box.hidden = false;
  };

  async function look() {
    if (document.hidden) return;
    const now = await stateOf(box.dataset.state);
    if (!now) return;
    const again = `${location.pathname}?seen=${box.dataset.version}`;
    if (now.changed) say(box.dataset.changed, again);
    else if (now.status !== box.dataset.status) say(box.dataset.decided, again);
    else if (now.held_by && now.held_by !== box.dataset.heldBy) say(box.dataset.heldText.replace("{name}", now.held_by), again);
  }

  setInterval(look, LOOK_MS);
  look();
  if (box.dataset.held) {
    setInterval(() => {
      if (document.hidden) return;
      const body = new URLSearchParams({ csrf_token: token });
      fetch(box.dataset.hold, { method: "POST", body, redirect: "manual" }).catch(() => {});
    }, HOLD_MS);
  }
}
