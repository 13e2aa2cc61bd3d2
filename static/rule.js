// The form of a mapping rule: a row's target is offered from the chosen tag's attributes, and a new rule comes after the others.
document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("mappingrule_form");
  const offered = document.getElementById("rule-targets");
  if (!form || !offered) return;
  const [tag, source, position] = ["tag", "source", "position"].map((name) => form.querySelector(`[name=${name}]`));
  const isNew = location.pathname.endsWith("/add/");
  let isOwn = false;
  position?.addEventListener("input", () => (isOwn = true));

  const ask = async () => {
    const asked = new URLSearchParams({ tag: tag?.value ?? "", source: source?.value ?? "" });
    const answer = await fetch(`${offered.dataset.choices}?${asked}`);
    if (!answer.ok) return;
    const { targets, position: next } = await answer.json();
    offered.replaceChildren(...targets.map(([value, label]) => Object.assign(document.createElement("option"), { value, label })));
    if (isNew && !isOwn && source?.value && position) position.value = next;
  };
  // On a phone the fields of a row stand beneath each other, each with its name: those to be added are copies of what is there.
  for (const name of ["target", "path", "transforms"]) {
    const label = document.querySelector(`#rows-group .column-${name} span span`)?.firstChild.textContent.trim();
    document.querySelectorAll(`#rows-group .field-${name}`).forEach((cell) => (cell.dataset.label = label ?? ""));
  }
  // select2 tells only jQuery
  django.jQuery([tag, source].filter(Boolean)).on("change", ask);
  ask();
});
