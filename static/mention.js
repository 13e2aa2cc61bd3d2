// While a name is typed after an @ in a comment, the colleagues it may be are offered beneath; a click, Enter or Tab takes one.
document.addEventListener("DOMContentLoaded", () => {
  const names = [...document.querySelectorAll("#colleagues option")].map((option) => option.value);
  const list = document.createElement("ul");
  list.className = "tl-names";
  list.setAttribute("role", "listbox");
  let field, from;

  const close = () => list.remove();
  const take = (name) => {
    field.setRangeText(`${name} `, from, field.selectionStart, "end");
    close();
    field.focus();
  };
  const offer = () => {
    const before = field.value.slice(0, field.selectionStart);
    const at = Math.max(before.lastIndexOf("@"), before.lastIndexOf("＠"));
    const typed = before.slice(at + 1).toLowerCase();
    const found = at < 0 || typed.includes("\n") ? [] : names.filter((name) => name.toLowerCase().startsWith(typed)).slice(0, 8);
    if (!found.length) return close();
    from = at + 1;
    list.replaceChildren(...found.map((name, number) => {
      const one = document.createElement("li");
      one.textContent = name;
      one.setAttribute("role", "option");
      one.setAttribute("aria-selected", number === 0);
      return one;
    }));
    field.after(list);
  };

  list.addEventListener("mousedown", (event) => {
    event.preventDefault();
    if (event.target.matches("li")) take(event.target.textContent);
  });
  for (const one of document.querySelectorAll(".tl-comments textarea")) {
    one.addEventListener("input", () => {
      field = one;
      offer();
    });
    one.addEventListener("blur", close);
    one.addEventListener("keydown", (event) => {
      const options = [...list.children];
      if (!list.isConnected || event.isComposing || !options.length) return;
      const chosen = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) options.forEach((option, number) => option.setAttribute("aria-selected", number === (chosen + step + options.length) % options.length));
      else if (event.key === "Enter" || event.key === "Tab") take(options[chosen].textContent);
      else if (event.key === "Escape") close();
      else return;
      event.preventDefault();
    });
  }
});
