// Shortcuts by the key's place (event.code), never while an input method composes, never inside fields.
const WRITES = new Set(["TEXTAREA", "SELECT"]);
const IN_VIEWER = new Set(["viewer", "heat"]);
const HARMLESS = new Set(["radio", "checkbox", "button", "submit"]);

function isWriting(target) {
  if (target.isContentEditable || WRITES.has(target.tagName)) return true;
  return target.tagName === "INPUT" && !HARMLESS.has(target.type);
}

export function listen(actions) {
  const named = new Map();
  for (const item of document.querySelectorAll("[data-shortcut]")) named.set(item.dataset.key, item.dataset.shortcut);

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape" && isWriting(event.target)) {
      event.target.blur();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || isWriting(event.target)) return;
    const element = document.querySelector(`[data-code="${CSS.escape(event.code)}"]`);
    const action = element?.dataset.action ?? named.get(event.code);
    const dialog = document.querySelector("dialog[open]");
    if (!action || (dialog && !(dialog.id === "viewer" && IN_VIEWER.has(action)))) return;
    event.preventDefault();
    if (actions[action]) actions[action]();
    else element?.click();
  });
}
