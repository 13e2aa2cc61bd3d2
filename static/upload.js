// On the upload page, tell what the chosen source's files hold.
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
