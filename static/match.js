// On the matching page, show what the columns and the first rows become whenever something else is chosen.
(() => {
  const form = document.querySelector("[data-match]");
  if (!form) return;
  const part = form.querySelector("[data-part]");
  let asked = 0;
  const show = async (pressed) => {
    const said = new FormData(form);
    if (pressed) said.set(pressed.name, pressed.value);
    const mine = (asked += 1);
    part.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(location.href, { method: "POST", body: said, headers: { Accept: "text/x-part" } });
      if (mine !== asked) return;
      if (answer.redirected) return location.reload();
      if (!answer.ok) return; // what was chosen stays; it is asked again with the next choice
      const html = await answer.text();
      const at = document.activeElement;
      const { name, value, type } = part.contains(at) ? at : {};
      part.innerHTML = html;
      const alike = name ? [...part.querySelectorAll(`[name="${CSS.escape(name)}"]`)] : [];
      const same = alike.find((one) => ["checkbox", "radio", "submit"].includes(type) && one.value === value);
      // not on what would undo the last press
      const other = alike.find((one) => name !== "leave_out" || one.value !== "none");
      const again = same || other || (name && part.querySelector("select"));
      if (again) again.focus({ preventScroll: true });
    } finally {
      if (mine === asked) part.removeAttribute("aria-busy");
    }
  };
  form.addEventListener("change", () => show());
  form.addEventListener("submit", (event) => {
    const pressed = event.submitter;
    if (pressed && (["drop", "leave_out"].includes(pressed.name) || /^e\d+-name$/.test(pressed.name) || pressed.value === "show")) {
      event.preventDefault();
      show(pressed);
    }
  });
})();
