// What scripts add to the pages: figures that answer to a pointer, and forms that answer while one types.
"use strict";

const plotly = document.currentScript.dataset.plotly;

function drawAll() {
  const styles = getComputedStyle(document.documentElement);
  const ink = styles.getPropertyValue("--ink").trim(), line = styles.getPropertyValue("--line").trim();
  for (const place of document.querySelectorAll("[data-plot]")) {
    if (place.closest("details:not([open])")) continue; // when it is opened: what is hidden has no width
    const { data, layout } = JSON.parse(place.dataset.plot);
    const axis = (told) => ({ automargin: true, gridcolor: line, zerolinecolor: line, ...told });
    place.replaceChildren();
    Plotly.newPlot(place, data, {
      height: 320, margin: { l: 56, r: 24, t: 16, b: 48 }, dragmode: false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: ink, family: getComputedStyle(document.body).fontFamily },
      legend: { orientation: "h", y: 1.16 }, ...layout, xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis),
    }, { displayModeBar: false, responsive: true });
    place.removeAttribute("data-plot");
  }
}

function draw() {
  if (!document.querySelector("[data-plot]")) return;
  if (window.Plotly) return drawAll();
  if (document.querySelector("script[data-figures]")) return;
  const script = document.createElement("script");
  script.src = plotly;
  script.dataset.figures = "";
  script.onload = drawAll;
  document.head.append(script);
}

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
    draw();
  }
}

addEventListener("beforeunload", () => { leaving = true; }); // a request that ends by that is no failure
addEventListener("pageshow", () => { leaving = false; });
document.addEventListener("toggle", draw, true);

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-live]");
  if (form) refresh(form);
});

draw();
