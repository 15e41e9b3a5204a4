// Keeps where each column of a case was scrolled to when the same page is shown again, after a press that was refused.
const columns = () => [...document.querySelectorAll(".case > div")];

export function keepPlaces() {
  const here = location.pathname.replace(/\/decision$/, "");
  const kept = JSON.parse(sessionStorage.getItem("places") ?? "{}");
  if (kept.page === here && !location.hash) columns().forEach((column, n) => (column.scrollTop = kept.tops[n] ?? 0));
  addEventListener("pagehide", () => {
    sessionStorage.setItem("places", JSON.stringify({ page: here, tops: columns().map((column) => column.scrollTop) }));
  });
}
