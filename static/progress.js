// Refresh the progress of what runs in the background every second until it is done.
(() => {
  const box = document.querySelector("[data-progress]");
  if (!box || "done" in box.dataset) return;
  const refresh = async () => {
    try {
      const answer = await fetch(box.dataset.progress, { headers: { Accept: "application/json" } });
      if (answer.ok) {
        const { html, done } = await answer.json();
        box.innerHTML = html;
        if (done) return location.reload();
      }
    } catch {
      // The server is away for a moment; ask again.
    }
    setTimeout(refresh, 1000);
  };
  setTimeout(refresh, 500);
})();
