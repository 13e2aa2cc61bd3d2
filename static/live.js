// "Watch it arrive": asks for the newest events every two seconds while somebody looks, and marks those that are new.
(() => {
  const box = document.querySelector("div[data-live]");
  if (!box) return;
  const state = document.querySelector("[data-live-state]");
  const keys = () => new Set([...box.querySelectorAll("[data-key]")].map((row) => row.dataset.key));
  let shown = "";
  const refresh = async () => {
    try {
      const answer = await fetch(box.dataset.live, { headers: { "X-Fragment": "1" } });
      if (answer.redirected || answer.status === 403) return location.reload(); // logged out, or no longer permitted
      if (!answer.ok) throw new Error(answer.status);
      const html = await answer.text();
      if (html !== shown) {
        const before = keys();
        box.innerHTML = html;
        for (const row of box.querySelectorAll("[data-key]")) row.classList.toggle("tl-new", !before.has(row.dataset.key));
        shown = html;
      }
      state.textContent = state.dataset.on;
      state.classList.add("tl-on");
    } catch {
      state.textContent = state.dataset.lost;
      state.classList.remove("tl-on");
    }
  };
  const look = async () => {
    if (!document.hidden) await refresh();
    setTimeout(look, 2000);
  };
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  look();
})();
