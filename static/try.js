// "Try a record before saving": posts the form as it stands and shows the fragment that comes back.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-try] button");
  if (!button) return;
  const section = button.closest("[data-try]");
  const shown = section.querySelector("[data-tried]");
  const body = new FormData(document.querySelector("#content form[method=post][id$=_form]"));
  body.append("record", section.querySelector("textarea").value);
  button.disabled = true;
  try {
    const answer = await fetch(section.dataset.try, { method: "POST", body });
    if (!answer.ok) throw new Error(answer.status);
    shown.innerHTML = await answer.text();
  } catch {
    shown.textContent = shown.dataset.failed;
  }
  button.disabled = false;
  shown.tabIndex = -1;
  shown.focus({ preventScroll: true });
  shown.scrollIntoView({ block: "center" });
});
