// What scripts add to the pages: forms that answer while one types, and parts that load when they are opened.
"use strict";

// <form method="get" data-live=".parts">: on a change these parts are asked for again and put in place; where
// the answer has none of them (the session has ended, say) the browser goes there itself.
let asked = 0, leaving = false;
async function refresh(form) {
  const turn = ++asked, parts = document.querySelectorAll(form.dataset.live);
  const url = new URL(form.action);
  url.search = new URLSearchParams(new FormData(form)).toString();
  for (const part of parts) part.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(url, { credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (turn !== asked) return;
    const fresh = [...parts].map((part) => page.getElementById(part.id));
    if (fresh.includes(null)) return location.assign(url);
    parts.forEach((part, place) => part.replaceWith(document.adoptNode(fresh[place])));
  } catch {
    if (!leaving && turn === asked) location.assign(url);
  } finally {
    for (const part of parts) part.removeAttribute("aria-busy");
  }
}

addEventListener("beforeunload", () => { leaving = true; }); // a request that ends by that is no failure
addEventListener("pageshow", () => { leaving = false; });

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-live]");
  if (form) refresh(form);
});

// <details> with <p id="part" data-lazy="address">: when it is opened, the part of that id comes from there. If
// that fails, the link in it is still there.
document.addEventListener("toggle", async (event) => {
  const place = event.target.open && event.target.querySelector("[data-lazy]");
  if (!place) return;
  const address = place.dataset.lazy;
  delete place.dataset.lazy;
  const answer = await fetch(address, { credentials: "same-origin" });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const part = page.getElementById(place.id);
  if (part) place.replaceWith(document.adoptNode(part));
}, true);
