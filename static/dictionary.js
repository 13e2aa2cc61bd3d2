// The dictionary: hits while typing, and printing.
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) window.print();
});

// What is folded on the screen is on the paper too.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll(".td details:not([open])")) {
    folded.open = true;
    folded.dataset.folded = "";
  }
});
addEventListener("afterprint", () => {
  for (const folded of document.querySelectorAll(".td details[data-folded]")) {
    folded.open = false;
    delete folded.dataset.folded;
  }
});

// A link to a folded category unfolds it.
const unfold = () => {
  const details = document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest("details");
  if (details) details.open = true;
};
addEventListener("hashchange", unfold);
unfold();

const form = document.querySelector(".td-search");
if (form) {
  const found = document.getElementById("td-found");
  let waiting, asked;
  const ask = async () => {
    asked?.abort();
    asked = new AbortController();
    try {
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { "X-Fragment": "1" }, signal: asked.signal });
      if (!answer.ok) throw new Error(answer.status);
      found.innerHTML = await answer.text();
      // read aloud how many, not the whole list at each letter
      document.getElementById("td-said").textContent = found.querySelector("[data-said]")?.dataset.said ?? "";
    } catch (error) {
      if (error.name !== "AbortError") form.submit();
    }
  };
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(ask, 120);
  });
  // Enter opens the first hit of what is written now, not of what was when the list was last fetched.
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    await ask();
    found.querySelector("a")?.click();
  });
}
