"use strict";
const folds = document.querySelectorAll("main details");
if (folds.length) {
  const tools = document.createElement("div");
  tools.className = "tools";
  for (const [words, open] of [["Expand all", true], ["Collapse all", false]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words;
    button.addEventListener("click", () => folds.forEach((fold) => { fold.open = open; }));
    tools.append(button);
  }
  document.querySelector("header").append(tools);
}
addEventListener("hashchange", () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let fold = target?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  target?.scrollIntoView();
});
document.fonts.ready.then(() => {  // stretched signs are measured anew once the font is there
  const main = document.querySelector("main");
  main.style.display = "none";
  void main.offsetHeight;
  main.style.display = "";
});
