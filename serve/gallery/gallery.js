// Three small comforts; every page works without them.
"use strict";

// A form that takes a while says so and cannot be sent twice.
for (const form of document.querySelectorAll("form[data-busy]")) {
  form.addEventListener("submit", () => {
    form.querySelector("button").disabled = true;
    form.querySelector("[role=status]").textContent = form.dataset.busy;
  });
}
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-busy]")) {
    form.querySelector("button").disabled = false;
    form.querySelector("[role=status]").textContent = "";
  }
});

// Typing a new sentence chooses to replace the old one.
const words = document.getElementById("words");
const replace = document.getElementById("replace");
if (words && replace) {
  words.addEventListener("input", () => { replace.checked = words.value.trim() !== "" || replace.checked; });
}

// What a mark of the map is called is shown below it, also where nothing hovers.
const map = document.querySelector("svg.map");
const pointed = document.querySelector(".pointed");
if (map && pointed) {
  const hint = pointed.textContent;
  const show = (event) => {
    const mark = event.target.closest("circle, g");
    const title = mark && (mark.querySelector("title") || mark.parentNode.querySelector(":scope > title"));
    pointed.textContent = title && title.id !== "map-title" ? title.textContent : hint;
  };
  map.addEventListener("pointerover", show);
  map.addEventListener("pointerdown", show);
}
