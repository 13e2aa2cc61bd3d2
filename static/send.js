// "How to send": puts the reader's write key into the code. It stays in this tab: sessionStorage, and no form has it.
(() => {
  const field = document.querySelector("[data-write-key]");
  if (!field) return;
  const slot = `write-key ${field.dataset.writeKey}`;
  const show = () => {
    const key = field.value.trim();
    sessionStorage.setItem(slot, key);
    for (const place of document.querySelectorAll("[data-key]")) if (place.closest("pre")) place.textContent = key || field.dataset.placeholder;
    const isTest = key.startsWith(field.dataset.test);
    const isOther = key && !isTest && !key.startsWith(field.dataset.live);
    document.querySelector("[data-hint=test]").hidden = !isTest;
    document.querySelector("[data-hint=other]").hidden = !isOther;
  };
  field.value ||= sessionStorage.getItem(slot) ?? "";
  field.addEventListener("input", show);
  show();
})();
