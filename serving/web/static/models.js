// Tells how a retraining under way goes on, and shows the page anew once it has ended.
const LOOK_MS = 2000;
const box = document.getElementById("retraining");

async function look() {
  let answer;
  try {
    answer = await fetch(box.dataset.state, { headers: { Accept: "application/json" } });
  } catch {
    return;
  }
  if (!answer.ok) return;
  const now = await answer.json();
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
