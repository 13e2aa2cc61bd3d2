// Refresh the progress of an import every second until it is done; on the upload page, tell what the chosen source's files hold.
(() => {
  const box = document.getElementById("import");
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

(() => {
  const about = document.querySelector("[data-about]");
  const source = document.querySelector("select[name=source]");
  if (!about || !source) return;
  const tell = async () => {
    const chosen = source.value;
    const answer = chosen && (await fetch(about.dataset.about.replace("00000000-0000-0000-0000-000000000000", chosen)));
    const html = answer && answer.ok ? await answer.text() : "";
    if (source.value === chosen) about.innerHTML = html;
  };
  source.addEventListener("change", tell);
  tell();
})();
