// Tells how a retraining under way goes on, and shows the page anew once it has ended.
import { stateOf } from "./state.js";

const LOOK_MS = 2000;
const box = document.getElementById("retraining");

async function look() {
  const now = await stateOf(box.dataset.state);
  if (!now) return;
  if (!["waiting", "running"].includes(now.state)) {
    location.reload();
    return;
  }
  const state = document.getElementById("retraining-state");
  const [waiting, running] = state.dataset.words.split("|");
  state.textContent = now.state === "running" ? running : waiting;
  const said = document.getElementById("retraining-said");
  const newest = now.said.at(-1) ?? "…";
  if (said.textContent !== newest) said.textContent = newest;
}

if (box) setInterval(() => document.hidden || look(), LOOK_MS);
