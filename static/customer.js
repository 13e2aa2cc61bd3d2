// The customer page: filters that apply when chosen, and earlier events added below.
(() => {
  // A key changes a choice at each press: who chooses by keys goes on to the button instead.
  document.querySelectorAll("[data-submit-on-change]").forEach((form) => {
    const button = form.querySelector("button");
    let byKeys = false;
    button.hidden = true;
    form.addEventListener("keydown", () => (byKeys = true));
    form.addEventListener("pointerdown", () => (byKeys = false));
    form.addEventListener("change", () => (byKeys ? (button.hidden = false) : form.requestSubmit()));
  });
  const timeline = document.getElementById("timeline");
  if (!timeline) return;
  timeline.addEventListener("click", async (event) => {
    const link = event.target.closest("[data-more]");
    if (!link) return;
    event.preventDefault();
    link.setAttribute("aria-busy", "true");
    const answer = await fetch(link.href, { headers: { "X-Fragment": "1" } });
    if (!answer.ok) return void (location.href = link.href);
    const more = document.createElement("div");
    more.innerHTML = await answer.text();
    link.parentElement.replaceWith(more);
    more.querySelector("a")?.focus();
  });
})();
