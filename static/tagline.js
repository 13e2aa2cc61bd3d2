// Small things of the shell that HTML cannot do by itself. No inline scripts: the CSP forbids them.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    button.textContent = button.dataset.copied;
  } catch {
    getSelection().selectAllChildren(source);
  }
});

document.addEventListener("change", (event) => {
  if (event.target.matches("select[data-submit]")) event.target.form.requestSubmit();
});

// The sidebar is there from 1024 px on; unfold's own code shows it from 1281. On smaller screens it lies over the page:
// the keyboard goes into it and back with it, and it closes with Escape or when the focus goes on into the page behind it.
document.addEventListener("alpine:init", () => {
  const isWide = () => innerWidth >= 1024;
  const isWanted = () => isWide() && localStorage.getItem("sidebarOpen") !== "0";
  const unfolds = window.theme;
  window.theme = (...given) => {
    const shell = unfolds(...given);
    shell.sidebarOpen = isWanted();
    shell.sidebarToggle = function () {
      this.sidebarOpen = !this.sidebarOpen;
      if (isWide()) return localStorage.setItem("sidebarOpen", this.sidebarOpen ? "1" : "0");
      this.$nextTick(() => document.querySelector(this.sidebarOpen ? "#nav-sidebar button" : "[aria-controls=nav-sidebar]").focus());
    };
    shell.themeBindings["x-resize.window"] = function () {
      this.sidebarOpen = isWanted();
    };
    shell.themeBindings["x-on:keydown.escape"] = function (event) {
      if (this.sidebarOpen && !isWide() && !event.target.closest("#user-links")) this.sidebarToggle();
    };
    shell.themeBindings["x-on:focusin"] = function (event) {
      if (!isWide() && !event.target.closest("#nav-sidebar")) this.sidebarOpen = false;
    };
    return shell;
  };
});

// Ctrl-K, Cmd-K and "/" go to the customer search.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  const wanted = (event.key === "k" && (event.ctrlKey || event.metaKey)) || (event.key === "/" && !typing && !document.querySelector("#searchbar"));
  const field = document.querySelector(".tl-search-field input:not([type=hidden])");
  if (!wanted || !field) return;
  event.preventDefault();
  if (field.offsetParent) field.focus();
  else document.querySelector(".tl-search-link")?.click();
});

// A browser passes over what a page asks to be focused while its styles still come.
addEventListener("load", () => {
  if (document.activeElement === document.body) document.querySelector("[autofocus]")?.focus();
});

// Parts of a page that take longer come after it.
document.addEventListener("DOMContentLoaded", () => {
  for (const place of document.querySelectorAll("[data-fetch]")) fill(place, fetch(place.dataset.fetch));
});

// Pressed twice in haste, a form is sent once: of two answers the browser would show the second, and a secret stands in the first.
document.addEventListener("submit", (event) => {
  const { sentAt } = event.target.dataset;
  if (event.target.method === "post" && event.timeStamp - sentAt < 1_000) event.stopImmediatePropagation(), event.preventDefault();
  else event.target.dataset.sentAt = event.timeStamp;
}, true);

// What takes seconds says so, to the eye and to who listens; a page gone back to says nothing.
document.addEventListener("submit", (event) => say(event.target, event.target.dataset.busy));
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-busy]")) say(form, "");
});
function say(form, text) {
  const place = form.querySelector("[data-busy-here]");
  if (place) place.textContent = text;
}

// A form whose answer is a part of the page: data-into names the place.
document.addEventListener("submit", (event) => {
  const place = document.querySelector(event.target.dataset.into ?? "none");
  if (!place) return;
  event.preventDefault();
  place.innerHTML = "<progress></progress>";
  fill(place, fetch(event.target.action, { method: "POST", body: new FormData(event.target, event.submitter) }));
});

async function fill(place, asked) {
  try {
    const answer = await asked;
    if (!answer.ok) throw new Error(answer.status);
    place.innerHTML = await answer.text();
  } catch (error) {
    place.textContent = error.message;
  }
}

// The admin's lists on a phone show a row as a card: each cell is told the name of its column.
document.addEventListener("DOMContentLoaded", () => {
  const list = document.getElementById("result_list");
  const names = [...(list?.tHead.rows[0].cells ?? [])].map((cell) => cell.querySelector(".text")?.textContent.trim() ?? "");
  for (const row of list?.querySelectorAll(".data-row") ?? []) {
    const cells = [...row.cells];
    cells.find((cell) => !cell.matches(".action-checkbox"))?.classList.add("tl-first");
    cells.forEach((cell, at) => {
      if (names[at]) cell.dataset.label = names[at];
      cell.classList.toggle("tl-none", !cell.firstElementChild && ["", "-"].includes(cell.textContent.trim()));
    });
  }
});
