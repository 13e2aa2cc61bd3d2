// While a code, a name or a synonym is typed, what is named alike is fetched and shown beneath those fields.
document.addEventListener("DOMContentLoaded", () => {
  const place = document.querySelector("[data-similar]");
  const names = ["code", "label_en", "label_zh_hans", "synonyms"];
  const fields = names.map((name) => document.querySelector(`#content [name="${name}"]`)).filter(Boolean);
  if (!place || !fields.length) return;
  const [said, list] = [place.querySelector("[role=status]"), place.querySelector("div")];
  fields[0].closest("fieldset")?.after(place);
  let waiting, asked;

  const ask = async () => {
    asked?.abort();
    asked = new AbortController();
    const body = new FormData();
    body.append("csrfmiddlewaretoken", document.querySelector("[name=csrfmiddlewaretoken]").value);
    body.append("item", place.dataset.item);
    for (const field of fields) body.append(field.name, field.value);
    try {
      const answer = await fetch(place.dataset.similar, { method: "POST", body, signal: asked.signal });
      if (!answer.ok) throw new Error(answer.status);
      list.innerHTML = await answer.text();
      // read aloud only where it differs, and never the whole list
      const now = list.querySelector("[data-said]").dataset.said;
      if (said.textContent !== now) said.textContent = now;
      place.hidden = false;
    } catch (error) {
      if (error.name !== "AbortError") place.hidden = true;
    }
  };
  for (const field of fields) {
    field.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(ask, 250);
    });
  }
});
