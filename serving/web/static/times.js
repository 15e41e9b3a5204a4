// Says our own times, given in UTC, in the reader's zone; times of the evidence stay as the case tells them.
export function readLocally() {
  for (const time of document.querySelectorAll("time[data-local]")) {
    const at = new Date(time.dateTime);
    const local = new Date(at.getTime() - at.getTimezoneOffset() * 60000);
    time.title = time.textContent;
    time.textContent = local.toISOString().slice(0, 16).replace("T", " ");
  }
}
